"""LMD: a growing ratio costs little accuracy, and latents are cheap.

Scattered digits of 32 pixels; the frozen autoencoder of autoencoder_kl_digits
(factor 4, 3 channels), 16 patches of 2 x 2 latents, encoder 64x4, decoder 64x2,
1200 steps of 64.

A. Error of hidden latents, three quarters hidden, after equal steps: with the
   cosine curriculum at most 1.05 of that with the fixed ratio.
B. FLOPs of a training step of an example (counted from the program, by the rule
   of cost/flops.py, of the curriculum's mean number of visible patches): an MAE
   of the same sizes on the pixels, patch 2, at 75 %, at least 3 times as many.
   Latents count as stored (jmim.tools.cache_latents): the encoder that makes
   them once is not in it.
C. Exact: patches that the curriculum's encoder sees over the run, over those of
   the fixed ratio, as the closed form of the schedule has it.

The card's headline, that the curriculum reaches a quality with fewer patches
through the encoder, is not claimed: it sees 1.72 times as many as the fixed
ratio (C), so it would have to be there in 0.58 of the steps.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import field
from jmim.core import method as methods
from jmim.cost import gradient_flops
from jmim.methods.mim import mae
from jmim.tools import claims

RECIPE, ERROR = "configs/lmd_digits.py", "errors/masked"
STEPS = 1200
CHANGES = (
  "method.first_stage.path={workdir:first_stage}",
  "evals.recon=None",
)


@functools.cache
def ours():
  """The method of the recipe, on stored moments."""
  made = discovery.make(configs.load(f"{RECIPE}:steps={STEPS}").method)
  return field.replace(made, first_stage={"read": "moments"})


def step_flops(m: methods.Method) -> int:
  """Of a training step of one example."""
  batch = {n: jnp.zeros((1, *i.shape)) for n, i in m.inputs().items()}
  params, extra = jax.eval_shape(m.init, jax.random.key(0), batch)
  draws = m.drawn(jax.random.key(0), batch)
  loss = lambda p: m.loss(methods.Weights(p, extra), batch, draws, 0)[0]
  return gradient_flops.count(loss, params).step


def curriculum_flops() -> float:
  """Mean over the steps of what as many visible patches cost."""
  m, n = ours(), ours().grid[0] * ours().grid[1]
  counts, times = np.unique(
    m.curriculum.counts(n, m.mask_ratio), return_counts=True
  )
  fixed = lambda k: field.replace(
    m, mask_ratio=1 - k / n, curriculum={"name": "fixed"}
  )
  return np.average([step_flops(fixed(k)) for k in counts], weights=times)


def pixel_flops() -> int:
  """Of an MAE on the pixels, with the same patch side."""
  m = ours()
  side = m.size * m.first_stage.factor
  return step_flops(
    mae.MAE(size=side, dims=m.dims, decoder_dims=m.decoder_dims)
  )


def seen(name: str) -> int:
  """Patches of an image that the encoder sees in all steps of a schedule."""
  m = ours()
  curriculum = dataclasses.replace(m.curriculum, name=name)
  return int(curriculum.counts(m.grid[0] * m.grid[1], m.mask_ratio).sum())


def get_claim() -> claims.Claim:
  arm = lambda name: claims.Run(
    f"{RECIPE}:steps={STEPS},schedule={name}", CHANGES
  )
  return claims.Claim(
    runs={
      "first_stage": claims.Run("configs/autoencoder_kl_digits.py"),
      "cosine": arm("cosine"),
      "fixed": arm("fixed"),
    },
    conditions=(
      claims.Condition(
        text="A: error of hidden latents, cosine / fixed",
        value=lambda r: r["cosine"][ERROR] / r["fixed"][ERROR],
        at_most=1.05,
      ),
      claims.Condition(
        text="B: FLOPs of a step, MAE on pixels / LMD",
        value=lambda r: pixel_flops() / curriculum_flops(),
        at_least=3.0,
      ),
      claims.Condition(
        text="C: patches seen, cosine / fixed",
        value=lambda r: seen("cosine") / seen("fixed"),
        at_least=1.71,
        at_most=1.73,
      ),
    ),
    metrics=(ERROR, "probe/accuracy", "probe/untrained_accuracy"),
  )
