"""Several samples of one vector, each told by a condition of its own.

A sample is a function of (key, number of the example, number of the sample):
neither of the batch nor of the devices. Without noise after the steps it is
one estimate, which lies near the mean of the samples.
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.diffusion import sampler as samplers
from jmim.diffusion import solvers
from jmim.methods.parts import gaussian

# (x [b, n, d], times [b, n]) -> noise [b, n, d].
Network = Callable[[jax.Array, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hypotheses:
  """How many, and by which sampler."""

  asked: ClassVar[bool] = True  # a run may be sampled otherwise

  count: int = field.value(200, "hypotheses of an example", low=1)
  sampler: str = field.value("ddpm", "sampler", choices=solvers.NAMES)
  steps: int = field.value(25, "sampling steps", low=1)
  eta: float = field.value(0.0, "noise of ddim: 0 none, 1 DDPM's", low=0.0)
  clip: float = field.value(
    3.0, "limit of |x0| while sampling, before the scale; 0: none", low=0.0
  )

  def denoiser(
    self, noise: gaussian.Gaussian, network: Network, scale: float
  ) -> samplers.Denoise:
    """The network as a sampler calls it.

    Args:
      noise: the process.
      network: says the noise in x.
      scale: by which data are multiplied before they are noised.
    """

    def call(x, level):
      eps = network(x, jnp.full(x.shape[:-1], level.time))
      clip = self.clip * scale
      return noise.output(eps, x, level, channels=x.shape[-1], clip=clip)

    return call

  def walk(
    self,
    noise: gaussian.Gaussian,
    network: Network,
    start: jax.Array,
    normal: samplers.Noise | None,
    scale: float,
  ) -> jax.Array:
    """Data [b, n, d] from pure noise.

    Args:
      noise: the process.
      network: says the noise in x.
      start: standard normal [b, n, d].
      normal: of the steps, see `samplers.sample`; None: none is added.
      scale: see `denoiser`.
    """
    table = noise.table(self)
    if normal is None:
      table = table.still()
    denoise = self.denoiser(noise, network, scale)
    return samplers.sample(table, denoise, start, normal)[0] / scale
