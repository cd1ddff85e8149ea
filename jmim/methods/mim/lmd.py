r"""LMD: Faster Image Reconstruction with Latent Masking Diffusion.

Ma, Yu, Li, Zhou, AAAI 2024. An MAE (`mim.mae`) on the latents of a frozen
autoencoder, whose mask ratio grows during training. `tests/golden` compares
schedules, encoded tokens, prediction, target, mask and loss with the authors'
code (AnonymousPony/lmd@db7e403):

    z     = mode of the posterior of E(x), not scaled      (`first_stage`)
    r     = ratio of the step, 0.15 -> 0.75                (`curriculum`)
    noise ~ U[0, 1)^n                                      draw
    keep  = argsort(noise)[: int(n (1 - r))]
    pred  = Decoder(restore(ViT(z[keep]), mask_token)), its table SUBTRACTED
    t     = patchify(z), each (t - mean) / sqrt(var + 1e-6) if norm_pix
    loss  = sum_n mask_n mean_d (pred - t)^2 / sum_n mask_n          as MAE

One ratio holds for the whole batch, so the number of visible tokens changes
with the step; the program holds `curriculum.budgets` networks for it
(`nn.budget`). FLOPs are counted for the dearest: MFU reads too high late in a
run. Losses of different steps are not comparable, and the evaluator `loss` has
the ratio of step 0: compare `errors` (evaluator `mean`) and `reconstruct`,
which hide `mask_ratio`. `size` and `channels` are those of the latents.

Reference: training at least 3 times faster than MAE at nearly the same accuracy
(abstract). No figures of the paper were available; the accuracies in the
authors' README are MAE's. Following the released code: the decoder subtracts
its table (`decoder_sign`; 1: MAE's), the variance is unbiased, cls and mask
tokens are decayed. With `curriculum.name=fixed`, `decoder_sign=1` and no first
stage this is MAE, bit for bit. Weights: family `lmd`.

    python -m jmim.main --config=configs/lmd_digits.py:autoencoder=AE ...
    python -m jmim.main --config=configs/lmd_imagenet.py --workdir=W ...
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.methods.mim import mae
from jmim.methods.parts import curriculum as curricula
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import latent_mode
from jmim.nn import budget as budgets
from jmim.nn import sizes
from jmim.nn.decoders import mae as decoders


@dataclasses.dataclass(frozen=True, kw_only=True)
class LMD(mae.MAE):
  """Masked autoencoder on latents; see the module docstring for the loss."""

  height: ClassVar[int] = 0  # none of its keys: squares only

  size: int = field.value(28, "side of the latents", low=1)
  channels: int = field.value(4, "channels of the latents", low=1)
  dims: sizes.Dims = field.redefault(mae.MAE, "dims", variant="B/4")
  mask_ratio: float = field.value(
    0.75,
    "share of patches hidden at the end of the curriculum and in evaluation",
    low=0.0,
    below=1.0,
  )
  curriculum: curricula.Curriculum = field.part(
    curricula.Curriculum, "mask ratio over the steps"
  )
  first_stage: stages.FirstStage = field.part(
    stages.FirstStage, "images or latents", variant="kl-f8", scale=1.0
  )
  decoder_sign: int = field.value(
    -1, "sign of the decoder's table of positions", choices=(-1, 1)
  )

  @classmethod
  def tiny(cls) -> "LMD":
    """The tiny MAE on moments, two budgets in four steps."""
    return field.replace(
      super().tiny(),
      first_stage={"width": 4, "blocks": 1},
      curriculum={"steps": 4, "budgets": 2},
    )

  @property
  def decoder(self) -> decoders.MaskedDecoder:
    """Predicts the latents of every patch."""
    return super().decoder.clone(sign=self.decoder_sign)

  def inputs(self) -> dict[str, method.Input]:
    """Images, or moments [size, size, 2 channels], of the first stage."""
    super().inputs()
    self.curriculum.check(self.mask_ratio)
    return self.first_stage.inputs((self.size, self.size, self.channels))

  def consts(self) -> dict[str, method.Const]:
    """The first stage, to read images or to decode."""
    return latent_mode.consts(self.first_stage)

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of encoder and decoder; no extra state."""
    del batch
    shape = (1, self.size, self.size, self.channels)
    return super().init(key, {"image": jnp.zeros(shape)})

  def lengths(self) -> dict[str, int]:
    """The curriculum is one of the whole run."""
    return self.curriculum.lengths("curriculum")

  def draw(self, keys, batch, step) -> method.Draws:
    """noise [b, n] ~ U[0, 1): the patches with the smallest are kept."""
    del step
    shape = (method.batch_size(batch), self.grid[0] * self.grid[1])
    return {"noise": jax.random.uniform(keys("noise"), shape)}

  def mask(self, draws: method.Draws) -> masking.Mask:
    """That of MAE, or one that is given."""
    return draws["mask"] if "mask" in draws else super().mask(draws)

  def latents(
    self, weights: method.Weights, batch: method.Batch
  ) -> method.Batch:
    """image [b, size, size, channels], what `mim.mae` is given as images."""
    return {"image": latent_mode.latents(self.first_stage, weights, batch)}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Mean squared error over the patches hidden in this step."""
    del player
    n = self.grid[0] * self.grid[1]
    counts = self.curriculum.counts(n, self.mask_ratio)
    count = budgets.at(counts, step)

    def of_budget(budget, params, given):
      z, draws, count = given
      mask, valid = budgets.split(draws["noise"], count, budget)
      out = self.forward(params, z, {"mask": mask}, valid=valid)
      return self.reconstruction_loss(out, z), {}

    loss, _ = budgets.loss(
      of_budget,
      weights.params,
      (self.latents(weights, batch), draws, count),
      budgets=budgets.levels(counts, self.curriculum.budgets),
      count=count,
    )
    return loss, {"visible": jnp.float32(count)}

  def predict(self) -> dict[str, method.Predict]:
    """MAE's outputs, of latents; `errors`; `reconstruct`, if it can decode."""
    offered = {**super().predict(), "errors": self.errors}
    if not self.first_stage.decodes:
      del offered["reconstruct"]
    return offered

  def encode(
    self,
    weights: method.Weights,
    batch: method.Batch,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """The encoder's outputs for all patches, nothing masked."""
    return super().encode(weights, self.latents(weights, batch), taps)

  def errors(self, weights, batch, key) -> dict[str, jax.Array]:
    """masked [b]: the error of each image's hidden patches, at `mask_ratio`."""
    z = self.latents(weights, batch)
    out = self.forward(weights.params, z, self.drawn(key, batch))
    error = ((out["pred"] - self.target(z["image"])) ** 2).mean(-1)
    hidden = out["mask"].mask
    return {"masked": (error * hidden).sum(1) / jnp.maximum(hidden.sum(1), 1)}

  def reconstruct(self, weights, batch, key) -> dict[str, jax.Array]:
    """image [b, H, W, c] decoded, visible latents as they are; mask."""
    z, factor = self.latents(weights, batch), self.first_stage.factor
    found = super().reconstruct(weights, z, key)
    mixed = jnp.where(found["mask"] > 0, found["image"], z["image"])
    mask = jnp.repeat(jnp.repeat(found["mask"], factor, 1), factor, 2)
    return {"image": self.first_stage.decode(weights, mixed), "mask": mask}
