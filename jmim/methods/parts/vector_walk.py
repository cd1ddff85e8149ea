"""A diffusion process of few times over one vector, walked in training too.

    z_T = a_T z + s_T eps                                    the last time alone
    z_0^ = D(z_t, t / (10 T), c);  z_{t-1} = k_t z_0^ + m_t z_t,  t = T - 1 .. 0

with k, m of the posterior's mean (DDPM's): no noise is added and nothing is
clipped, and at t = 0 it is z_0^ itself. Gradients pass through all T calls.
Xia et al. 2023 (Zj-BinXia/DiffIR@293f86c).
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.diffusion import sampler
from jmim.diffusion import schedule
from jmim.diffusion import solvers
from jmim.diffusion import targets
from jmim.nn.nets import restoration_prior


@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorWalk:
  """Noise schedule and denoiser of a vector."""

  times: int = field.value(
    4, "T, noise levels; also calls of the denoiser", low=1
  )
  beta_start: float = field.value(
    0.1, "first beta; square roots are evenly spaced", above=0, below=1
  )
  beta_end: float = field.value(0.99, "last beta", above=0, below=1)
  blocks: int = field.value(1, "layers of the denoiser after its first", low=0)
  rt: runtime.Runtime = field.runtime()

  @property
  def process(self) -> schedule.Schedule:
    """The noise schedule."""
    return schedule.make(
      "scaled_linear", self.times, start=self.beta_start, end=self.beta_end
    )

  @property
  def denoiser(self) -> restoration_prior.Denoiser:
    """D."""
    return restoration_prior.Denoiser(self.blocks, self.rt)

  @property
  def table(self) -> sampler.Table:
    """The posterior's mean from the last time to the vector."""
    return solvers.ddpm(self.process.levels()).still()

  def init(self, key: jax.Array, width: int) -> Any:
    """Fresh parameters of the denoiser of vectors [b, width]."""
    z = jnp.zeros((1, width))
    return self.denoiser.init(key, z, 0.0, z)["params"]

  def noised(self, z: jax.Array, eps: jax.Array) -> jax.Array:
    """z_T [b, d] of vectors z [b, d], eps ~ N(0, 1) alike."""
    process = self.process
    return targets.noised(z, eps, process.signal[-1], process.noise[-1])

  def walk(self, params: Any, z: jax.Array, c: jax.Array) -> jax.Array:
    """All states after z_T: [T, b, d], the last is the vector.

    Args:
      params: of the denoiser.
      z: z_T [b, d].
      c: condition [b, d].
    """

    def denoise(z, level):
      t = level.time / (10 * self.times)
      made = self.denoiser.apply({"params": params}, z, t, c)
      return targets.output("x0", made, x=z, a=level.signal, s=level.noise)

    return sampler.sample(self.table, denoise, z, callback=sampler.trajectory)[
      1
    ]["x"]
