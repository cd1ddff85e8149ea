"""MCMAE, also ConvMAE (Gao et al. 2022): two convolution stages, then a ViT.

    x1 = blocks(embed(image))      masked convolutions, 1/4 of the side
    x2 = blocks(embed(x1))         masked convolutions, 1/8
    z  = ViT blocks(linear(embed(x2)) + table), at 1/16, of visible tokens
    z  = LayerNorm(z + shortcut1(x1) + shortcut2(x2)), gathered alike

There is no class token. A hidden token of the last grid hides its square at
all stages: nothing of a hidden pixel reaches a visible place. Hidden places
of the convolution stages are computed, and mean nothing.

Letters: b batch, h w grid, n tokens, k visible tokens, c d width.
"""

import dataclasses
import re

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn import block
from jmim.nn import norm
from jmim.nn import patch as patching
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn.nets import masked_conv


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
  """Widths, blocks and strides of the three stages; heads of the last.

  `width`, `depth` and `heads` are those of the last stage, a transformer.
  """

  widths: tuple[int, int, int]
  depths: tuple[int, int, int]
  heads: int
  strides: tuple[int, int, int] = (4, 2, 2)
  mlp_ratio: float = 4.0

  @property
  def width(self) -> int:
    """Of the tokens."""
    return self.widths[2]

  @property
  def depth(self) -> int:
    """Transformer blocks."""
    return self.depths[2]

  @property
  def blocks(self) -> int:
    """Of all stages."""
    return sum(self.depths)

  @property
  def patch(self) -> int:
    """Side of a token [pixels]."""
    return self.strides[0] * self.strides[1] * self.strides[2]

  @property
  def transformer(self) -> sizes.Size:
    """The last stage."""
    return sizes.Size(
      width=self.width,
      depth=self.depth,
      heads=self.heads,
      mlp_ratio=self.mlp_ratio,
    )


# Checkpoints of S, L and H exist too, but their widths are not in the released
# code: they can be given as overrides.
SIZES = {
  "B": Size(widths=(256, 384, 768), depths=(2, 2, 11), heads=12),
}


def parse(variant: str) -> Size:
  """Reads "B/16".

  Raises:
    ValueError: not "<size>/16" with a known size.
  """
  match = re.fullmatch(r"(\w+)/16", variant)
  if not match or match[1] not in SIZES:
    raise ValueError(
      f"variant {variant!r} is not '<size>/16' with a size of "
      + ", ".join(SIZES)
    )
  return SIZES[match[1]]


class MCMAE(nn.Module, kw_only=True):
  """The encoder; it is called, and tapped, like a `vit.ViT` without cls.

  Attributes:
    size: widths, blocks, strides, heads.
    grid: (h, w) in tokens of the last stage.
    positions: "sincos" (fixed) or "learned".
    shortcuts: outputs of the convolution stages are added to the last one's
      (pre-training).
    final_norm: LayerNorm at the end.
    rt: execution choices.
  """

  size: Size
  grid: tuple[int, int]
  positions: str = "sincos"
  shortcuts: bool = True
  final_norm: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  cls = False
  registers = 0
  prefix = 0

  @property
  def stride(self) -> int:
    """Pixels per output token and axis."""
    return self.size.patch

  def setup(self) -> None:
    """Declares parameters; see the class attributes."""
    size, rt = self.size, self.rt
    stage = lambda i: masked_conv.ConvStage(
      width=size.widths[i],
      depth=size.depths[i],
      stride=size.strides[i],
      mlp_ratio=size.mlp_ratio,
      rt=rt,
    )
    self.stage1, self.stage2 = stage(0), stage(1)
    self.patch_embed = masked_conv.Embed(width=size.width, linear=True, rt=rt)
    table = posemb.sincos_2d(size.width, self.grid)[None]
    if self.positions == "learned":
      table = self.param("pos_embed", lambda _: jnp.asarray(table))
    self.pos_embed = table
    self.blocks = block.make_stack(size.transformer, rt)
    if self.shortcuts:
      fan_in = lambda i: size.widths[i] * self._cells(i) ** 2
      self.shortcut1 = masked_conv.linear(rt, size.width, fan_in(0), None)
      self.shortcut2 = masked_conv.linear(rt, size.width, fan_in(1), None)
    if self.final_norm:
      self.norm = norm.layer_norm(rt, None)

  def _cells(self, stage: int) -> int:
    """Places of a convolution stage, 0 or 1, per token and axis."""
    _, second, third = self.size.strides
    return (second * third, third)[stage]

  def _visible(self, keep, stage):
    """What `keep` leaves visible of a convolution stage; None: all."""
    if keep is None:
      return None
    return masked_conv.visible(keep, self.grid, self._cells(stage))

  def __call__(
    self,
    images: jax.Array,
    keep: jax.Array | None = None,
    *,
    drop: jax.Array | None = None,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """Encodes the kept tokens of [b, h*p, w*p, c] images.

    Args:
      images: normalised float images.
      keep: [b, k] int32, the tokens to encode, in their order; None: all, in
        raster order.
      drop: [blocks, 2, b] drop-path factors, of all three stages.
      taps: outputs of each transformer block to return, see `block.Block`.

    Returns:
      stage1, stage2: [b, h, w, c] maps of the convolution stages.
      embedded: [b, k, d] what enters the transformer.
      latent: [b, k, d] after the final norm.
      and each tap: [transformer blocks, ...].
    """
    first, second, _ = self.size.depths
    own = lambda a, b=None: None if drop is None else drop[a:b]
    take = lambda x: x if keep is None else masking.take(x, keep)
    cut = lambda x, side: take(patching.patchify(x, side))
    split = first + second
    x1 = self.stage1(images, self._visible(keep, 0), own(0, first))
    x2 = self.stage2(x1, self._visible(keep, 1), own(first, split))
    pos = jnp.asarray(self.pos_embed, self.rt.dtype)
    pos = pos if keep is None else pos[0][keep]
    embedded = self.patch_embed(cut(x2, self._cells(1))) + pos
    x, valid, t = embedded, None, embedded.shape[1]
    if not taps:
      x, valid = masking.fill_up(x, None, self.rt.pad_tokens)
    shared = {} if valid is None else {"mask": valid}
    layers = {} if drop is None else {"drop": own(split)}
    x = self.rt.shard(x)
    x, tapped = self.blocks(x, per_layer=layers, taps=taps, **shared)
    x = x[:, :t]
    if self.shortcuts:
      x = x + self.shortcut1(cut(x1, self._cells(0)))
      x = x + self.shortcut2(cut(x2, self._cells(1)))
    x = self.norm(x) if self.final_norm else x
    maps = {"stage1": x1, "stage2": x2}
    return {**maps, "embedded": embedded, "latent": x, **tapped}
