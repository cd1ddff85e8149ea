r"""Swin transformer with a linear classifier.

Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo, ICCV 2021. Attention inside windows
that move by half a window in every second block; between stages 2 x 2 tokens
become one of twice the width. It fine-tunes what `mim.simmim` pre-trains with
a Swin, and holds the classifiers of timm and Transformers (`jmim.convert`).
Mixing, drop path and loss are those of `finetune`:

    z      = Swin(x')                                    [n, 8 w] of 4 stages
    logits = W mean_n z_n + b
    loss   = -sum_c y'_c log softmax(logits)_c           x', y' mixed

Reference (ImageNet-1k top-1 %, 224 px): trained from scratch T 81.3, S 83.0, B
83.5; B after SimMIM's 800 epochs 84.0 (192 px). Proven by agreement with the
networks of timm and Transformers (`tests/convert`), not by goldens.

Windows must divide the grid of each stage, or be all of it; no padding.

    python -m jmim.convert --from=timm_swin --weights=DIR --out=runs/swin
    python -m jmim.main --config=configs/swin_cifar10.py --workdir=... \
      --config.init_from.path=runs/swin
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods import outputs
from jmim.methods.parts import mixing as mixings
from jmim.methods.parts import swin_dims
from jmim.nn import block
from jmim.nn import initialise
from jmim.nn import losses
from jmim.nn.decoders import heads
from jmim.nn.nets import swin


@dataclasses.dataclass(frozen=True, kw_only=True)
class Swin(method.Method):
  """Windows, shifts, merging; mean of the last tokens, linear."""

  shared: ClassVar[tuple[str, ...]] = mixings.SHARED

  size: int = field.value(224, "image side in pixels", low=1)
  channels: int = field.value(3, "image channels", low=1)
  classes: int = field.value(1000, "number of classes", low=2)
  dims: swin_dims.SwinDims = field.part(swin_dims.SwinDims, "encoder", was="{}")
  mixing: mixings.Mixing = field.part(
    mixings.Mixing, "mixing of images and labels", was="{}"
  )
  drop_path: float = field.value(
    0.1, "rate of the last block, rising from 0", low=0, below=1
  )
  qkv_bias: bool = field.value(True, "bias on q, k and v")
  patch_norm: bool = field.value(True, "LayerNorm on the patches")

  @classmethod
  def tiny(cls) -> "Swin":
    """Two stages with windows of 4 on 8 x 8 patches, nothing mixed."""
    return cls(
      size=16,
      classes=6,
      dims=swin_dims.SwinDims(
        variant="SwinT/2", width=16, depths=(2, 1), heads=(2, 4), window=4
      ),
      mixing=mixings.Mixing(mixup=0.0, cutmix=0.0),
    )

  @property
  def encoder(self) -> swin.Swin:
    """The backbone; it has no mask token."""
    return swin.Swin(
      size=self.dims.size,
      patch=self.dims.patch,
      grid=self.dims.grid(self.size),
      patch_norm=self.patch_norm,
      qkv_bias=self.qkv_bias,
      rt=self.rt,
    )

  @property
  def head(self) -> heads.PoolHead:
    """Linear on the mean of all tokens."""
    return heads.PoolHead(classes=self.classes, pool="mean", rt=self.rt)

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, channels] and class ids."""
    self.dims.check(self.size)
    return {
      "image": method.Input((self.size, self.size, self.channels)),
      "label": method.Input((), jnp.int32, high=self.classes),
    }

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Kernels N(0, 0.02^2); no extra state."""
    k_encoder, k_head = jax.random.split(key)
    image = batch["image"][:1]
    encoder = self.encoder.init(k_encoder, image)["params"]
    latent = self.encoder.apply({"params": encoder}, image)["latent"]
    head = self.head.init(k_head, latent)["params"]
    params = {"encoder": encoder, "head": head}
    return {"main": initialise.normal_kernels(key, params)}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """What is mixed (see `Mixing.draw`); drop [b, blocks, 2] factors."""
    del step
    drop = block.drop_path_draw(
      keys("drop"),
      self.drop_path,
      depth=self.dims.size.blocks,
      batch=len(batch["image"]),
    )
    return self.mixing.draw(keys, batch) | drop

  def logits(
    self,
    params: method.Tree,
    images: jax.Array,
    drop: jax.Array | None = None,
  ) -> jax.Array:
    """[b, classes] float32 of images [b, size, size, channels].

    `drop` [blocks, 2, b] are factors of residual branches; None: all 1.
    """
    main = params["main"]
    out = self.encoder.apply({"params": main["encoder"]}, images, drop=drop)
    return self.head.apply({"params": main["head"]}, out["latent"])

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Soft cross entropy of the mixed batch."""
    del step, player
    images, targets = self.mixing.apply(batch, draws, self.classes)
    logits = self.logits(weights.params, images, block.drop_path_of(draws))
    return losses.soft_cross_entropy(logits, targets), {}

  def predict(self) -> dict[str, method.Predict]:
    """features [b, w], tokens [b, h, w, d] and logits [b, classes]."""
    side = self.size // self.encoder.stride
    offered = outputs.vit(self.encode, (side, side), cls=False)
    # Stages differ in width: no layers, no attention.
    return {
      "features": offered["features"],
      "tokens": offered["tokens"],
      "logits": self.classify,
    }

  def encode(
    self,
    weights: method.Weights,
    batch: method.Batch,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """The encoder's outputs, nothing mixed or dropped."""
    variables = {"params": weights.params["main"]["encoder"]}
    return self.encoder.apply(variables, batch["image"], taps=taps)

  def classify(self, weights, batch, key) -> jax.Array:
    """[b, classes] logits, nothing mixed or dropped."""
    del key
    return self.logits(weights.params, batch["image"])
