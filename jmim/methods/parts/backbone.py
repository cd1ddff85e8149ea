"""A ViT or a Swin that sees every token, mask tokens among them (SimMIM)."""

import dataclasses

from jmim.core import field
from jmim.core import runtime
from jmim.nn import sizes
from jmim.nn.nets import swin
from jmim.nn.nets import vit

POSITIONS = ("none", "learned")
TABLES = ("shared", "block", "none")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Backbone:
  """One network of two kinds, which the name of its variant chooses.

  A ViT is that of BEiT: LayerScale, no key bias, positions as biases.
  """

  variant: str = field.value(
    "B/16", "size / patch side [pixels]: B/16, L/16 .. or SwinB/4, SwinL/4"
  )
  width: int = field.value(
    0, "width of the first stage; 0: that of variant", low=0
  )
  depths: tuple = field.value(
    (), "blocks per stage, of which a ViT has one; (): those of variant"
  )
  heads: tuple = field.value((), "heads per stage; (): those of variant")
  mlp_ratio: float = field.value(
    0.0, "MLP hidden / width; 0: that of variant", low=0
  )
  window: int = field.value(
    0, "window side of a Swin [tokens]; 0: that of variant", low=0
  )
  positions: str = field.value("none", "absolute positions", choices=POSITIONS)
  relative: str = field.value(
    "shared",
    "tables of relative positions of a ViT: one, one per block, none",
    choices=TABLES,
  )
  qkv_bias: bool = field.value(
    True, "biases on q and v (ViT) or on q, k and v (Swin)"
  )
  layer_scale: float = field.value(
    0.1, "initial LayerScale of a ViT; 0: none", low=0
  )
  final_norm: bool = field.value(True, "LayerNorm at the end of a ViT")
  patch_norm: bool = field.value(True, "LayerNorm on the patches of a Swin")
  rt: runtime.Runtime = field.runtime()

  @property
  def windowed(self) -> bool:
    """Whether it is a Swin."""
    return self.variant.startswith("Swin")

  @property
  def size(self) -> sizes.Size | swin.Size:
    """The variant's size with the overrides."""
    if self.windowed:
      return swin.custom(
        self.variant,
        width=self.width,
        depths=self.depths,
        heads=self.heads,
        mlp_ratio=self.mlp_ratio,
        window=self.window,
      )
    return sizes.custom(
      self.variant,
      width=self.width,
      depth=sum(self.depths),
      heads=sum(self.heads),
      mlp_ratio=self.mlp_ratio,
    )

  @property
  def patch(self) -> int:
    """Patch side [pixels]."""
    parse = swin.parse if self.windowed else sizes.parse
    return parse(self.variant)[1]

  def grid(self, side: int) -> tuple[int, int]:
    """(h, w) in patches of an image of that side."""
    return (side // self.patch,) * 2

  def net(self, side: int) -> vit.ViT | swin.Swin:
    """The network on images of that side; both have a mask token."""
    if self.windowed:
      return swin.Swin(
        size=self.size,
        patch=self.patch,
        grid=self.grid(side),
        qkv_bias=self.qkv_bias,
        patch_norm=self.patch_norm,
        positions=self.positions,
        maskable=True,
        rt=self.rt,
      )
    style = {"qkv_bias": "qv" if self.qkv_bias else False}
    if self.relative == "block":
      style |= {"window": self.grid(side), "window_prefix": 1}
    return vit.ViT(
      size=self.size,
      patch=self.patch,
      grid=self.grid(side),
      layer_scale=self.layer_scale,
      final_norm=self.final_norm,
      relative=self.relative == "shared",
      style=style,
      positions=self.positions,
      maskable=True,
      rt=self.rt,
    )

  def check(self, side: int) -> None:
    """Raises ValueError where it cannot be built on images of that side."""
    if self.windowed:
      swin.check(self.size, side, self.patch)
      return
    sizes.check(self.size, side, self.patch, table=False)
