r"""SimMIM: A Simple Framework for Masked Image Modeling.

Xie, Zhang, Cao, Lin, Bao, Yao, Dai, Hu, CVPR 2022. Equal to the authors' code
(microsoft/SimMIM@d3e29bc): `tests/golden` compares latent, reconstruction, loss
and gradients of both backbones.

Large squares of the image are hidden; the backbone sees all tokens, a learned
one in place of each hidden patch, and one linear layer paints the pixels:

    m     = ceil(N r) of the N squares of `square` pixels     draw
    x     = e(patches) (1 - m) + mask_token m
    z     = ViT or Swin (x)
    pred  = pixels of W z, `stride` x `stride` of them per output token
    loss  = sum m |pred - image| / (sum m + 1e-5) / channels

m over pixels (one channel), sums over the batch; m = 1 if `all_pixels`. The
ViT has LayerScale, no key bias, and instead of absolute positions one table
of relative ones for all blocks.

Reference (ImageNet-1k top-1 %, fine-tuned):

    | ViT-B 800 ep | Swin-B 100 ep | Swin-B 800 ep | Swin-L 800 ep |
    | 83.8         | 82.8 (192 px) | 84.0          | 85.4          |

Following the released code: no learning-rate scaling (values are for batch
2048); ViT decays the mask token and the relative table, Swin neither.
Weights: family `simmim`.

    python -m jmim.main --config=configs/simmim_imagenet.py:variant=SwinB/4 ...
"""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.methods import outputs
from jmim.nn import block
from jmim.nn import initialise
from jmim.nn import patch as patching
from jmim.nn import sizes
from jmim.nn.nets import swin
from jmim.nn.nets import vit

POSITIONS, TABLES = ("none", "learned"), ("shared", "block", "none")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimMIM(method.Method):
  """Masked pixels under a backbone that sees mask tokens."""

  variant: str = field.value("B/16", "B/16, L/16 .. or SwinB/4, SwinL/4")
  size: int = field.value(224, "image side in pixels", low=1)
  channels: int = field.value(3, "image channels", low=1)
  width: int = field.value(0, "first width; 0: that of variant", low=0)
  depths: tuple = field.value((), "blocks per stage; (): those of variant")
  heads: tuple = field.value((), "heads per stage; (): those of variant")
  mlp_ratio: float = field.value(0.0, "MLP / width; 0: variant's", low=0)
  window: int = field.value(0, "Swin window; 0: that of variant", low=0)
  positions: str = field.value("none", "absolute", choices=POSITIONS)
  relative: str = field.value("shared", "tables of a ViT", choices=TABLES)
  qkv_bias: bool = field.value(True, "bias on q and v (ViT) or q, k, v (Swin)")
  layer_scale: float = field.value(0.1, "LayerScale of a ViT; 0: none", low=0)
  drop_path: float = field.value(0.0, "drop path of the last block", low=0.0)
  final_norm: bool = field.value(True, "LayerNorm at the end of a ViT")
  patch_norm: bool = field.value(True, "LayerNorm on the patches of a Swin")
  square: int = field.value(32, "side of a hidden square in pixels", low=1)
  mask_ratio: float = field.value(0.6, "share of them", low=0.0, high=1.0)
  all_pixels: bool = field.value(False, "loss on visible pixels too")

  @classmethod
  def tiny(cls) -> "SimMIM":
    """A ViT of 4 patches that learns fast, half of them hidden."""
    small = dict(width=64, depths=(2,), heads=(4,), layer_scale=1.0)
    return cls(variant="Ti/4", size=8, square=4, mask_ratio=0.5, **small)

  @property
  def windowed(self) -> bool:
    """Whether the backbone is a Swin."""
    return self.variant.startswith("Swin")

  @property
  def encoder_size(self) -> sizes.Size | swin.Size:
    """The variant's size with the overrides."""
    given = {"width": self.width, "mlp_ratio": self.mlp_ratio}
    if self.windowed:
      given |= {"depths": self.depths, "window": self.window}
      return swin.custom(self.variant, heads=self.heads, **given)
    own = {"depth": sum(self.depths), "heads": sum(self.heads)}
    return sizes.custom(self.variant, **given, **own)

  @property
  def patch(self) -> int:
    """Patch side in pixels."""
    return int(self.variant.split("/")[-1])

  @property
  def grid(self) -> tuple[int, int]:
    """(h, w) in patches."""
    return (self.size // self.patch,) * 2

  @property
  def encoder(self) -> vit.ViT | swin.Swin:
    """Sees every token, mask tokens among them."""
    shared = dict(positions=self.positions, maskable=True, rt=self.rt)
    if self.windowed:
      return swin.Swin(
        size=self.encoder_size,
        patch=self.patch,
        grid=self.grid,
        qkv_bias=self.qkv_bias,
        patch_norm=self.patch_norm,
        **shared,
      )
    style = {"qkv_bias": "qv" if self.qkv_bias else False}
    if self.relative == "block":
      style |= {"window": self.grid, "window_prefix": 1}
    return vit.ViT(
      size=self.encoder_size,
      patch=self.patch,
      grid=self.grid,
      layer_scale=self.layer_scale,
      final_norm=self.final_norm,
      relative=self.relative == "shared",
      style=style,
      **shared,
    )

  @property
  def head(self) -> nn.Dense:
    """Pixels of each output token."""
    return nn.Dense(self.encoder.stride**2 * self.channels, dtype=self.rt.dtype)

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, channels]."""
    check = (
      swin.check
      if self.windowed
      else functools.partial(sizes.check, table=False)
    )
    check(self.encoder_size, self.size, self.patch)
    if self.size % self.square or self.square % self.patch:
      raise ValueError(
        f"square {self.square} is no multiple of patch "
        f"{self.patch} dividing size {self.size}"
      )
    return {"image": method.Input((self.size, self.size, self.channels))}

  def init(self, key, batch):
    """Kernels N(0, 0.02^2), those of a ViT smaller in deeper blocks."""
    k_encoder, k_head, k_normal = jax.random.split(key, 3)
    image = batch["image"][:1]
    encoder = self.encoder.init(k_encoder, image)["params"]
    head = self.head.init(k_head, self.latent(encoder, image))["params"]
    params = {"encoder": encoder, "head": head}
    params = initialise.normal_kernels(k_normal, params)
    shrink = (lambda p: p) if self.windowed else initialise.shrink_with_depth
    return {"main": shrink(params)}, {}

  def draw(self, key, batch, step):
    """mask [b, h, w] over patches, 1 = hidden; drop [b, blocks, 2]."""
    k_mask, k_drop = jax.random.split(key)
    b, r = len(batch["image"]), self.size // self.square
    scores = jax.random.uniform(k_mask, (b, r, r))
    mask = masking.squares(scores, self.mask_ratio, self.grid)
    depth = self.encoder_size.blocks
    drop = block.drop_path_draw(k_drop, self.drop_path, depth, b)
    return {"mask": mask, **drop}

  def latent(self, encoder, images, **kwargs) -> jax.Array:
    """[b, n_out, w] output tokens, without the class token."""
    out = self.encoder.apply({"params": encoder}, images, **kwargs)
    return out["latent"][:, self.encoder.prefix :]

  def forward(self, params, batch, draws) -> dict[str, jax.Array]:
    """latent [b, n_out, w], pred [b, size, size, c] and pixel mask m."""
    main, mask = params["main"], draws["mask"]
    latent = self.latent(
      main["encoder"],
      batch["image"],
      drop=block.drop_path_of(draws),
      replaced=mask.reshape(len(mask), -1),
    )
    pred = self.head.apply({"params": main["head"]}, latent)
    pred = patching.unpatchify(pred.astype(jnp.float32), self.encoder.stride)
    m = jnp.repeat(jnp.repeat(mask, self.patch, 1), self.patch, 2)
    return {"latent": latent, "pred": pred, "mask": m[..., None]}

  def loss(self, player, params, extra, consts, batch, draws, step):
    """Mean absolute error over hidden pixels."""
    out = self.forward(params, batch, draws)
    m = jnp.ones_like(out["mask"]) if self.all_pixels else out["mask"]
    error = jnp.abs(batch["image"].astype(jnp.float32) - out["pred"])
    return (error * m).sum() / (m.sum() + 1e-5) / self.channels, {}

  def predict(self):
    """Outputs of the encoder (of a Swin: features, tokens); reconstruct."""
    grid, net = (self.size // self.encoder.stride,) * 2, self.encoder
    encode = lambda p, b, t: net.apply(
      {"params": p["main"]["encoder"]}, b["image"], taps=t
    )
    found = outputs.vit(encode, grid, bool(net.prefix))
    if self.windowed:  # stages differ in width: no layers, no attention
      found = {name: found[name] for name in ("features", "tokens")}

    def reconstruct(p, e, c, b, k):
      out = self.forward(p, b, self.draw(k, b, 0))
      return {"image": out["pred"], "mask": out["mask"]}

    return found | {"reconstruct": reconstruct}

  def groups(self):
    """A ViT decays its mask token and relative tables too."""
    tokens = method.Group(pattern=r"/(mask_token|table)$", decay=1.0)
    return () if self.windowed else (tokens,)
