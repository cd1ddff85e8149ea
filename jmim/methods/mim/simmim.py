r"""SimMIM: A Simple Framework for Masked Image Modeling.

Xie, Zhang, Cao, Lin, Bao, Yao, Dai, Hu, CVPR 2022. Equal to the authors' code
(microsoft/SimMIM@d3e29bc): `tests/golden` compares latent, reconstruction, loss
and gradients of both backbones.

Large squares of the image are hidden; the backbone sees all tokens, a learned
one in place of each hidden patch, and one linear layer paints the pixels:

    m     = 1 on ceil(N r) of the N squares of `square` pixels     draw
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
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.methods import outputs
from jmim.methods.parts import backbone as backbones
from jmim.nn import block
from jmim.nn import initialise
from jmim.nn import patch as patching
from jmim.nn.nets import swin
from jmim.nn.nets import vit


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimMIM(method.Method):
  """Masked pixels under a backbone that sees mask tokens."""

  size: int = field.value(224, "image side [pixels]", low=1)
  channels: int = field.value(3, "image channels", low=1)
  backbone: backbones.Backbone = field.part(
    backbones.Backbone, "ViT or Swin that sees mask tokens", was="{}"
  )
  drop_path: float = field.value(
    0.0, "drop path of the last block; rises from 0", low=0.0
  )
  square: int = field.value(32, "side of a hidden square [pixels]", low=1)
  mask_ratio: float = field.value(
    0.6, "share of the squares hidden", low=0.0, high=1.0
  )
  all_pixels: bool = field.value(False, "loss on visible pixels too")

  @classmethod
  def tiny(cls) -> "SimMIM":
    """A ViT of 4 patches that learns fast, half of them hidden."""
    return cls(
      size=8,
      backbone=backbones.Backbone(
        variant="Ti/4", width=64, depths=(2,), heads=(4,), layer_scale=1.0
      ),
      square=4,
      mask_ratio=0.5,
    )

  @property
  def grid(self) -> tuple[int, int]:
    """(h, w) in patches."""
    return self.backbone.grid(self.size)

  @property
  def encoder(self) -> vit.ViT | swin.Swin:
    """Sees every token, mask tokens among them."""
    return self.backbone.net(self.size)

  @property
  def head(self) -> nn.Dense:
    """Pixels of each output token."""
    return nn.Dense(self.encoder.stride**2 * self.channels, dtype=self.rt.dtype)

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, channels]."""
    self.backbone.check(self.size)
    if self.size % self.square or self.square % self.backbone.patch:
      raise ValueError(
        f"square {self.square} is no multiple of patch "
        f"{self.backbone.patch} dividing size {self.size}"
      )
    return {"image": method.Input((self.size, self.size, self.channels))}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Kernels N(0, 0.02^2), those of a ViT smaller in deeper blocks."""
    k_encoder, k_head, k_normal = jax.random.split(key, 3)
    image = batch["image"][:1]
    encoder = self.encoder.init(k_encoder, image)["params"]
    head = self.head.init(k_head, self.latent(encoder, image))["params"]
    params = {"encoder": encoder, "head": head}
    params = initialise.normal_kernels(k_normal, params)
    if not self.backbone.windowed:
      params = initialise.shrink_with_depth(params)
    return {"main": params}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """mask [b, h, w] over patches, 1 = hidden; drop [b, blocks, 2]."""
    del step
    b, squares = len(batch["image"]), self.size // self.square
    scores = jax.random.uniform(keys("mask"), (b, squares, squares))
    drop = block.drop_path_draw(
      keys("drop"), self.drop_path, self.backbone.size.blocks, b
    )
    return {"mask": masking.squares(scores, self.mask_ratio, self.grid), **drop}

  def latent(self, encoder: method.Tree, images: jax.Array) -> jax.Array:
    """[b, n_out, w] output tokens, without the class token."""
    out = self.encoder.apply({"params": encoder}, images)
    return out["latent"][:, self.encoder.prefix :]

  def forward(
    self,
    params: method.Tree,
    batch: method.Batch,
    draws: method.Draws,
    **options: Any,
  ) -> dict[str, jax.Array]:
    """What the loss and pictures need, under given draws.

    Args:
      params: of the method.
      batch: images.
      draws: mask and drop path.
      **options: others of the encoder.

    Returns:
      latent [b, n_out, w], pred [b, size, size, c], pixel mask m, and all that
      the encoder returns as `encoded`.
    """
    main, mask = params["main"], draws["mask"]
    encoded = self.encoder.apply(
      {"params": main["encoder"]},
      batch["image"],
      drop=block.drop_path_of(draws),
      replaced=mask.reshape(len(mask), -1),
      **options,
    )
    latent = encoded["latent"][:, self.encoder.prefix :]
    pred = self.head.apply({"params": main["head"]}, latent)
    pred = patching.unpatchify(pred.astype(jnp.float32), self.encoder.stride)
    m = patching.pixels(mask.reshape(len(mask), -1), self.backbone.patch)
    return {"latent": latent, "pred": pred, "mask": m, "encoded": encoded}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Mean absolute error over hidden pixels."""
    del step, player
    out = self.forward(weights.params, batch, draws)
    return self.reconstruction_loss(out, batch), {}

  def reconstruction_loss(
    self, out: dict[str, jax.Array], batch: method.Batch
  ) -> jax.Array:
    """L1 of what `forward` returns over hidden pixels, or over all."""
    m = jnp.ones_like(out["mask"]) if self.all_pixels else out["mask"]
    error = jnp.abs(batch["image"].astype(jnp.float32) - out["pred"])
    return (error * m).sum() / (m.sum() + 1e-5) / self.channels

  def predict(self) -> dict[str, method.Predict]:
    """Outputs of the encoder (of a Swin: features, tokens); reconstruct."""
    net = self.encoder
    grid = (self.size // net.stride,) * 2
    offered = outputs.vit(outputs.encoder(net), grid, bool(net.prefix))
    if self.backbone.windowed:  # stages differ in width: no layers, no maps
      offered = {name: offered[name] for name in ("features", "tokens")}
    return {**offered, "reconstruct": self.reconstruct}

  def reconstruct(self, weights, batch, key) -> dict[str, jax.Array]:
    """image [b, h, w, c], predicted, and mask [b, h, w, 1] (1 = hidden)."""
    out = self.forward(weights.params, batch, self.drawn(key, batch))
    return {"image": out["pred"], "mask": out["mask"]}

  def groups(self) -> tuple[method.Group, ...]:
    """A ViT decays its mask token and relative tables too."""
    if self.backbone.windowed:
      return ()
    return (method.Group(pattern=r"/(mask_token|table)$", decay=1.0),)
