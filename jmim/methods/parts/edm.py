"""EDM: x = x0 + sigma eps in continuous noise (Karras et al. 2022).

    log sigma ~ N(mean, std^2)
    D(x)  = skip x + out F(in x, log(sigma) / 4)
    error = (sigma^2 + d^2) / (sigma d)^2 (D(x) - x0)^2

A network is F; its time is log(sigma) / 4. `parts/gaussian.py` has the same
functions for discrete times, `parts/flow.py` for straight paths.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import sampler as samplers
from jmim.diffusion import schedule as schedules
from jmim.diffusion import solvers
from jmim.diffusion import targets
from jmim.diffusion import weights as levels
from jmim.methods.parts import guided

# The others look at variances of a process that keeps its variance.
SAMPLERS = ("heun", "euler", "ddim")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EDM:
  """Noise in training, deviation of the data, and the sampler's path."""

  mean: float = field.value(-1.2, "mean of log sigma in training")
  std: float = field.value(1.2, "deviation of log sigma in training", above=0.0)
  data_std: float = field.value(
    0.5, "d, deviation of what is diffused", above=0.0
  )
  least: float = field.value(
    0.002, "sigma that sampling ends with, before 0", above=0.0
  )
  most: float = field.value(80.0, "sigma that sampling begins with", above=0.0)
  rho: float = field.value(
    7.0, "bend of the sampler's path: larger, more steps near data", above=0.0
  )

  @property
  def end(self) -> float:
    """The network's time of the most noise."""
    return math.log(self.most) / 4

  @property
  def clean(self) -> float:
    """The network's time of what is all but data."""
    return math.log(self.least) / 4

  def check(self, sampling: guided.Guided) -> None:
    """Raises ValueError for fields that do not go together."""
    if self.least >= self.most:
      raise ValueError(
        f"noise.least {self.least:g} is not below noise.most {self.most:g}"
      )
    if sampling.sampler not in SAMPLERS:
      raise ValueError(
        f"sampling.sampler {sampling.sampler!r} of EDM's noise: one of "
        + ", ".join(SAMPLERS)
      )
    by_time = {"guidance_interval": (0.0, 1.0), "guidance_power": 0.0}
    for name, off in by_time.items():
      if getattr(sampling, name) != off:
        raise ValueError(
          f"sampling.{name}: EDM's time is a logarithm, no share"
        )

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, jax.Array]:
    """level [b] standard normal, and noise of that shape [b, ...]."""
    return {
      "level": jax.random.normal(keys("level"), shape[:1]),
      "noise": jax.random.normal(keys("noise"), shape),
    }

  def sigma(self, draws: method.Draws) -> jax.Array:
    """[b] of the drawn levels."""
    return levels.lognormal(draws["level"], self.mean, self.std)

  def time(self, sigma: jax.Array) -> jax.Array:
    """The network's."""
    return jnp.log(sigma) / 4

  def scales(self, t: jax.Array, ndim: int) -> targets.Preconditioning:
    """skip, out, inside [b, 1, ...] at the network's times t [b]."""
    return targets.edm(targets.expand(jnp.exp(4 * t), ndim), self.data_std)

  def seen(self, x: jax.Array, t: jax.Array) -> jax.Array:
    """What the network sees of noisy x [b, ...] at its times t [b]."""
    return self.scales(t, x.ndim).inside * x

  def denoised(self, raw: jax.Array, x: jax.Array, t: jax.Array) -> jax.Array:
    """D(x) [b, ...] of the network's F at its times t [b]."""
    p = self.scales(t, x.ndim)
    return p.skip * x + p.out * raw

  def add(
    self, x: jax.Array, t: jax.Array, noise: jax.Array
  ) -> tuple[jax.Array, float, jax.Array]:
    """(x + s noise, 1, s) of data x [b, ...] at its times t [b]."""
    s = targets.expand(jnp.exp(4 * t), x.ndim)
    return x + s * noise, 1.0, s

  def errors(
    self, x0_hat: jax.Array, x0: jax.Array, sigma: jax.Array
  ) -> jax.Array:
    """Weighted squared errors [b, ...] of data at sigma [b]."""
    w = levels.edm(sigma, self.data_std)
    return targets.expand(w, x0.ndim) * (x0_hat - x0) ** 2

  def levels(self, steps: int) -> schedules.Levels:
    """The path of a sampler, from noise to data."""
    return schedules.karras(steps, self.least, self.most, rho=self.rho)

  def table(
    self, sampling: guided.Guided, share: float = 1.0
  ) -> samplers.Table:
    """The sampler along the path, or the last share of its steps."""
    path = self.levels(sampling.steps).last(share)
    return solvers.make(sampling.sampler, path, eta=sampling.eta)

  def start(self, normal: jax.Array) -> jax.Array:
    """What sampling begins with, of standard normal numbers."""
    return self.most * normal

  def output(
    self,
    raw: jax.Array,
    x: jax.Array,
    level: samplers.Level,
    *,
    channels: int,
    clip: float,
  ) -> targets.Output:
    """What the sampler needs of a (guided) F at x.

    Args:
      raw: [b, h, w, c].
      x: noisy state.
      level: of the call.
      channels: c.
      clip: limit of |x0|; 0: none.
    """
    sigma = level.noise
    p = targets.edm(sigma, self.data_std)
    x0 = p.skip * x + p.out * raw[..., :channels]
    return targets.output("x0", x0, x=x, a=level.signal, s=sigma, clip=clip)
