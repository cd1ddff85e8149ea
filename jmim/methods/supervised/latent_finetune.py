r"""Fine-tuning of a ViT on latents for classification (LMD).

Ma, Yu, Li, Zhou, AAAI 2024: MAE's fine-tuning (`supervised.finetune`) of a ViT
that sees the latents of a frozen autoencoder instead of pixels:

    z      = mode of the posterior of E(x), not scaled     (`first_stage`)
    z'     = l z + (1 - l) rev(z)  or a box of rev(z) pasted into z    draw
    y'     = l hot(y) + (1 - l) hot(rev(y)),  hot smoothed by s
    logits = W LayerNorm(mean_n ViT(z')_n or its class token) + b      `pool`
    loss   = -sum_c y'_c log softmax(logits)_c

What is mixed are latents, whether they are read or made of images; the authors'
script mixes images before it encodes them (so we read the card; not compared).
The LayerNorm of the head is the final norm where the class token is read: it is
fresh in both cases.

Start from a run of `mim.lmd` with `config.init_from` (the decoder skipped; head
and positions fresh, as in `supervised.finetune`).

Reference: the accuracies in the authors' README are MAE's; none of this method
were available, and there is no golden file.

    python -m jmim.main --config=configs/lmd_finetune_digits.py:autoencoder=AE \
      --workdir=W --config.init_from.path=PRETRAINED
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import latent_mode
from jmim.methods.supervised import finetune
from jmim.nn import sizes


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatentFinetune(finetune.Finetune):
  """Supervised ViT on latents; see the module docstring for the loss."""

  size: int = field.value(28, "side of the latents", low=1)
  channels: int = field.value(4, "channels of the latents", low=1)
  dims: sizes.Dims = field.redefault(finetune.Finetune, "dims", variant="B/4")
  first_stage: stages.FirstStage = field.part(
    stages.FirstStage, "images or latents", variant="kl-f8", scale=1.0
  )
  pool: str = field.value(
    "mean", "tokens that the head reads", choices=("mean", "cls")
  )

  @classmethod
  def tiny(cls) -> "LatentFinetune":
    """The tiny classifier on moments, nothing mixed."""
    return field.replace(super().tiny(), first_stage={"width": 4, "blocks": 1})

  def read(self, latent: jax.Array) -> jax.Array:
    """The tokens that the head averages: patches, or the class token."""
    return latent[:, :1] if self.pool == "cls" else super().read(latent)

  def inputs(self) -> dict[str, method.Input]:
    """Images or moments of the first stage, and class ids."""
    seen = super().inputs()
    shape = (self.size, self.size, self.channels)
    return {**self.first_stage.inputs(shape), "label": seen["label"]}

  def consts(self) -> dict[str, method.Const]:
    """The first stage, to read images."""
    return latent_mode.consts(self.first_stage)

  def blank(self, b: int) -> method.Batch:
    """image [b, size, size, channels], zeros."""
    return {"image": jnp.zeros((b, self.size, self.size, self.channels))}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of encoder and head; no extra state."""
    del batch
    return super().init(key, self.blank(1))

  def draw(self, keys, batch, step) -> method.Draws:
    """As `supervised.finetune`, of latents."""
    return super().draw(keys, self.blank(method.batch_size(batch)), step)

  def latents(
    self, weights: method.Weights, batch: method.Batch
  ) -> method.Batch:
    """The batch with the latents as its image."""
    return {
      **batch,
      "image": latent_mode.latents(self.first_stage, weights, batch),
    }

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Soft cross entropy of the mixed latents."""
    seen = self.latents(weights, batch)
    return super().loss(weights, seen, draws, step, player=player)

  def encode(
    self,
    weights: method.Weights,
    batch: method.Batch,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """The encoder's outputs, nothing mixed or dropped."""
    return super().encode(weights, self.latents(weights, batch), taps)

  def classify(self, weights, batch, key) -> jax.Array:
    """[b, classes] logits, nothing mixed or dropped."""
    return super().classify(weights, self.latents(weights, batch), key)
