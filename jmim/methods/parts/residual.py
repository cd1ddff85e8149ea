"""The process from an image to a degraded one, and the walk back.

    x_t = x + eta_t (y - x) + kappa sqrt(eta_t) eps        `diffusion.shifted`
    x_T ~ y + kappa sqrt(eta_T) eps                        where the walk begins
    F(c_t x_t, t) = x                                      a network predicts x

A result is a function of (key, its number, its input) alone: not of the batch
it is made in, nor of the number of devices.
"""

import dataclasses
from collections.abc import Callable
from typing import Any
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import randomness
from jmim.diffusion import sampler as samplers
from jmim.diffusion import schedule
from jmim.diffusion import shifted
from jmim.diffusion import solvers
from jmim.diffusion import targets

Array = jax.Array
NOISES = {"gauss": jax.random.normal, "uniform": jax.random.uniform}
# (x_t [b, h, w, c], times [b]) -> x [b, h, w, c]; it scales x_t itself.
Network = Callable[[Array, Array], Array]
# Number of a call -> standard normal [b, h, w, c].
Normal = Callable[[Array | int], Array]


def drawn(
  keys: randomness.Keys,
  shape: tuple[int, ...],
  name: str,
  *,
  times: int,
  noise: str = "gauss",
) -> dict[str, Array]:
  """{name}_t [b] ints below `times`, {name}_noise of a shape [b, ...].

  Args:
    keys: of all draws.
    shape: of the noise.
    name: what they are for.
    times: exclusive bound.
    noise: one of NOISES; "uniform" in 0 .. 1.
  """
  t, eps = f"{name}_t", f"{name}_noise"
  return {
    t: jax.random.randint(keys(t), shape[:1], 0, times),
    eps: NOISES[noise](keys(eps), shape),
  }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Residual:
  """ResShift's schedule, and how a network's input is scaled."""

  times: int = field.value(15, "T, discrete times", low=2)
  power: float = field.value(
    0.3,
    "exponent of the schedule: below 1 the first levels rise fast",
    above=0.0,
  )
  kappa: float = field.value(
    2.0, "deviation of the noise where the mean is the input", above=0.0
  )
  least: float = field.value(0.04, "bound of the first level", above=0.0)
  end: float = field.value(
    0.99, "square root of the last share of the input", above=0.0, below=1.0
  )
  scaling: str = field.value(
    "latent",
    "scale of the network's input: by the deviation of latents, or so that "
    "pixels stay near -1 .. 1",
    choices=shifted.SCALINGS,
  )

  @property
  def process(self) -> shifted.Shifted:
    """Its tables."""
    names = ("kappa", "power", "least", "end")
    return shifted.make(self.times, **{n: getattr(self, n) for n in names})

  def check(self) -> None:
    """Raises ValueError for levels that do not rise."""
    first = min(self.least / self.kappa, self.least, shifted.FIRST)
    if first >= self.end:
      raise ValueError(
        f"noise.least={self.least} with noise.end={self.end}: levels must rise"
      )

  def agrees(self) -> dict[str, tuple[str, Any]]:
    """What a frozen network of this process agrees in, see `method.Const`."""
    names = ("times", "power", "kappa", "least", "end", "scaling")
    key = "noise.{}".format
    return {key(n): (f"method.{key(n)}", getattr(self, n)) for n in names}

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, Array]:
    """t [b] ints below T, and noise of that shape [b, ...]."""
    return {
      "t": jax.random.randint(keys("t"), shape[:1], 0, self.times),
      "noise": jax.random.normal(keys("noise"), shape),
    }

  def factors(self, t: Array, ndim: int) -> tuple[Array, Array]:
    """(1 - eta, kappa sqrt(eta)) at times t [b], as [b, 1, ...]."""
    process, t = self.process, targets.expand(t, ndim)
    return schedule.pick(process.signal, t), schedule.pick(process.noise, t)

  def add(self, x: Array, y: Array, t: Array, noise: Array) -> Array:
    """x_t [b, ...] of data x and degraded data y at times t [b]."""
    a, s = self.factors(t, x.ndim)
    return y + targets.noised(x - y, noise, a, s)

  def eps(self, x: Array, made: Array, y: Array, t: Array) -> Array:
    """The noise in x_t [b, ...] that a prediction `made` of x implies."""
    a, s = self.factors(t, x.ndim)
    return targets.to_eps("x0", made - y, x=x - y, a=a, s=s)

  def start(self, y: Array, noise: Array) -> Array:
    """x_T [b, ...], of which the walk back knows no data but y."""
    return y + float(self.process.noise[-1]) * noise

  def inside(self, x: Array, t: Array) -> Array:
    """x_t as a network reads it; times t [b], whole numbers."""
    table = self.process.inside(self.scaling)
    t = targets.expand(t.astype(jnp.int32), x.ndim)
    return x * schedule.pick(table, t)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Walk:
  """How a result is sampled."""

  asked: ClassVar[bool] = True  # a run may be sampled otherwise

  how: str = field.value(
    "posterior",
    "steps: drawn, or without noise",
    choices=("posterior", "deterministic"),
  )
  steps: int = field.value(0, "calls of the network; 0: T", low=0)
  clip: float = field.value(0.0, "limit of |x|; 0: none (latents)", low=0.0)

  def check(self, times: int) -> None:
    """Raises ValueError for more steps than there are times."""
    if self.steps > times:
      raise ValueError(f"sampling.steps={self.steps} of noise.times={times}")

  def table(self, process: shifted.Shifted) -> samplers.Table:
    """The sampler of the residual."""
    process = process.respaced(self.steps or len(process))
    std = None
    if self.how == "posterior":
      std = np.sqrt(process.posterior().var)[::-1]
    return solvers.ddim(process.levels(), std=std)

  def walk(
    self,
    noise: Residual,
    network: Network,
    *,
    y: Array,
    normal: Normal,
    callback: samplers.Callback | None = None,
  ) -> tuple[Array, Any]:
    """What the network makes of y [b, h, w, c], and the callback's records.

    Args:
      noise: the process.
      network: see `Network`.
      y: degraded data.
      normal: number of a call -> standard normal like y; T is the start's.
      callback: of `sampler.sample`; its states are x_t - y.
    """
    table = self.table(noise.process)

    def denoise(u, level):
      made = network(u + y, jnp.full(len(u), level.time))
      if self.clip:
        made = jnp.clip(made, -self.clip, self.clip)
      a, s = level.signal, level.noise
      return targets.output("x0", made - y, x=u, a=a, s=s)

    first = float(table.level.noise[0]) * normal(len(table))
    u, records = samplers.sample(
      table, denoise, first, normal, callback=callback
    )
    return u + y, records
