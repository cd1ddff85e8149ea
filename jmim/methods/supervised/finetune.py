r"""Fine-tuning of a ViT for classification, the recipe of MAE.

He et al., CVPR 2022 (main_finetune of facebookresearch/mae@efb2a8062c); equal
to it: `tests/golden` compares mixed images, targets, logits, loss, parameter
groups and one AdamW step with layer-wise rates.

    x'     = l x + (1 - l) rev(x)  or a box of rev(x) pasted into x    draw
    y'     = l hot(y) + (1 - l) hot(rev(y)),  hot smoothed by s
    z      = ViT(x'), positions trained, no final norm, drop path
    logits = W LayerNorm(mean_n z_n) + b                patch tokens, no cls
    loss   = -sum_c y'_c log softmax(logits)_c

l ~ Beta(a, a); each batch is mixed (mixup, a = 0.8) or cut (cutmix, a = 1)
with probability 1/2; l of a cut batch is the share that stays. rev(x) is the
reversed batch (timm's batch mode), of the micro-batch when accumulating.

Start from a pre-trained encoder with `config.init_from` (decoder and final
norm skipped; head and positions fresh: the table is the sin-cos one); layer
decay is `optim.layer_decay`, label-free augmentation is `config.data`.

Reference (ImageNet-1k top-1 %): B/16 83.6, L/16 85.9, H/14 86.9, with
RandAugment and random erasing, which are `data.randaugment`, `.erase_share`.

    python -m jmim.main --config=configs/finetune_digits.py --workdir=... \
      --config.init_from.path=runs/digits
"""

import dataclasses
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods import outputs
from jmim.methods.parts import mixing as mixings
from jmim.nn import block
from jmim.nn import losses
from jmim.nn import sizes
from jmim.nn.decoders import heads
from jmim.nn.nets import vit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finetune(method.Method):
  """Supervised ViT; see the module docstring for the loss."""

  shared: ClassVar[tuple[str, ...]] = mixings.SHARED

  size: int = field.value(224, "image side in pixels", low=1)
  channels: int = field.value(3, "image channels", low=1)
  classes: int = field.value(1000, "number of classes", low=2)
  dims: sizes.Dims = field.part(sizes.Dims, "encoder", was="{}")
  mixing: mixings.Mixing = field.part(
    mixings.Mixing, "mixing of images and labels", was="{}"
  )
  drop_path: float = field.value(
    0.1, "rate of the last block, rising from 0", low=0, below=1
  )

  @classmethod
  def tiny(cls) -> "Finetune":
    """Two blocks of width 32, 6 classes, nothing mixed.

    Mixing pairs the examples of a micro-batch, so that accumulating would
    not be the same computation; it has tests of its own.
    """
    return cls(
      size=16,
      classes=6,
      dims=sizes.Dims(variant="Ti/4", width=32, depth=2, heads=4),
      mixing=mixings.Mixing(mixup=0.0, cutmix=0.0),
    )

  @property
  def encoder(self) -> vit.ViT:
    """Learned positions, no final norm."""
    return vit.build(
      self.dims, self.size, positions="learned", final_norm=False, rt=self.rt
    )

  @property
  def head(self) -> nn.Module:
    """Mean of patch tokens, LayerNorm, linear."""
    return heads.MeanPoolHead(self.classes, rt=self.rt)

  def read(self, latent: jax.Array) -> jax.Array:
    """The tokens [b, n, w] of [b, t, w] that the head sees: the patches."""
    return latent[:, 1:]

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, channels] and class ids."""
    self.dims.check(self.size)
    return {
      "image": method.Input((self.size, self.size, self.channels)),
      "label": method.Input((), jnp.int32, high=self.classes),
    }

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of encoder and head; no extra state."""
    k_encoder, k_head = jax.random.split(key)
    image = batch["image"][:1]
    encoder = self.encoder.init(k_encoder, image)["params"]
    latent = self.encoder.apply({"params": encoder}, image)["latent"]
    head = self.head.init(k_head, self.read(latent))["params"]
    return {"main": {"encoder": encoder, "head": head}}, {}

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
    """[b, classes] float32.

    Args:
      params: by player.
      images: [b, size, size, channels].
      drop: [blocks, 2, b] factors of residual branches; None: all 1.
    """
    main = params["main"]
    out = self.encoder.apply({"params": main["encoder"]}, images, drop=drop)
    return self.head.apply({"params": main["head"]}, self.read(out["latent"]))

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Soft cross entropy of the mixed batch."""
    del step, player
    images, targets = self.mixing.apply(batch, draws, self.classes)
    logits = self.logits(weights.params, images, block.drop_path_of(draws))
    return losses.soft_cross_entropy(logits, targets), {}

  def predict(self) -> dict[str, method.Predict]:
    """logits [b, classes], and outputs of the encoder (see `outputs.vit`)."""
    net = self.encoder
    features = outputs.vit(self.encode, net.grid, net.cls, net.registers)
    return {**features, "logits": self.classify}

  def encode(
    self,
    weights: method.Weights,
    batch: method.Batch,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """The encoder's outputs, nothing mixed or dropped."""
    return outputs.encoder(self.encoder)(weights, batch, taps)

  def classify(self, weights, batch, key) -> jax.Array:
    """[b, classes] logits, nothing mixed or dropped."""
    del key
    return self.logits(weights.params, batch["image"])
