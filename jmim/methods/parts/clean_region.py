"""Diffusion in a hole: what is known stays clean at all times.

    x_t  = (1 - m) (a_t x + s_t eps) + m x            m: 1 is known, 0 the hole
    loss = mean over all numbers of (1 - m) (eps - e)^2
    x    = (1 - m) x + m x_0                          before every step

(Liu et al. 2024, DiffDub.) The last step is followed by none, so that what it
says of known pixels is the network's, unless `paste_last`.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.diffusion import sampler as samplers
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class CleanRegion:
  """Known pixels in training and in sampling."""

  paste_last: bool = field.value(
    True, "known pixels are put back after the last step, too"
  )

  def check(self, sampling: guided.Guided) -> None:
    """Raises ValueError for guidance: nothing is dropped in training."""
    sampling.check()
    if sampling.guidance != 1:
      raise ValueError(
        f"sampling.guidance={sampling.guidance}: no condition is dropped in "
        "training, so there is nothing to guide by"
      )

  def mixed(self, keep: Array, known: Array, x: Array) -> Array:
    """x [b, h, w, c] in the hole, what is known where keep is 1."""
    return keep * known + (1 - keep) * x

  def errors(self, keep: Array, pred: Array, noise: Array) -> Array:
    """[b]: squared error of the noise in the hole, over all numbers."""
    error = (1 - keep) * (pred - noise).astype(jnp.float32) ** 2
    return error.mean((1, 2, 3))

  def walk(
    self,
    noise: gaussian.Gaussian,
    sampling: guided.Guided,
    *,
    network: Callable[[Array, Array], Array],
    keep: Array,
    known: Array,
    start: Array,
    normal: Callable[[Array], Array],
  ) -> tuple[Array, Array]:
    """(images [b, h, w, c], the states after each step [n, b, h, w, c]).

    Args:
      noise: the process.
      sampling: its sampler and steps; there is no guidance.
      network: (x [b, h, w, c], times [b]) -> noise.
      keep: [b, h, w, 1 or c], 1 where a pixel is known.
      known: [b, h, w, c].
      start: noise like that.
      normal: number of a call -> the same for a sampler that adds noise.
    """
    table = noise.table(sampling)
    channels = known.shape[-1]

    def denoise(x, level):
      raw = network(x, jnp.full(len(x), level.time))
      options = dict(channels=channels, clip=sampling.clip)
      return noise.output(raw, x, level, **options)

    def paste(level, x, out):
      del out
      pasted = self.mixed(keep, known, x)
      last = level.index == len(table) - 1
      return jnp.where(last, x, pasted), x

    x = self.mixed(keep, known, sampling.temperature * start)
    x, states = samplers.sample(table, denoise, x, normal, paste)
    return (self.mixed(keep, known, x) if self.paste_last else x), states
