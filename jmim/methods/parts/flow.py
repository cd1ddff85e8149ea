"""Rectified flow: straight paths x_u = u x + (1 - u) eps, u = 1 is data.

A network predicts the velocity of the path: x - eps where its time is that of
the signal, eps - x where it is that of the noise (1 = pure noise):

    flow = mean (net(x_u, time) - velocity)^2

`parts/gaussian.py` has the same functions for discrete times.
"""

import dataclasses

import jax
import numpy as np

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import respace
from jmim.diffusion import sampler as samplers
from jmim.diffusion import schedule as schedules
from jmim.diffusion import solvers
from jmim.diffusion import targets
from jmim.diffusion import weights as times
from jmim.methods.parts import guided

# The others look at log SNR or at variances, which the ends of a path lack.
SAMPLERS = ("euler", "ddim", "heun")
# Of the sampler; linear_quadratic: `respace.linear_quadratic`.
GRIDS = ("even", "linear_quadratic")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flow:
  """Direction of time, training times, and the sampler's steps."""

  time: str = field.value(
    "signal",
    "quantity whose share is the network's time",
    choices=schedules.TIMES,
  )
  uniform: bool = field.value(False, "times uniform, not logit-normal")
  ends: float = field.value(
    0.0,
    "a of times that are dense at both ends: density e^(a u) + e^(-a u) of "
    "u = t - 1/2; 0: another",
    low=0.0,
  )
  drawn_shift: float = field.value(
    1.0, "k of training times t / (t + k (1 - t))", above=0.0
  )
  shift: float = field.value(
    1.0, "s of the sampler's times s u / (1 + (s - 1) u)", above=0.0
  )
  grid: str = field.value(
    "even", "the sampler's times, before their shift", choices=GRIDS
  )
  spare: bool = field.value(False, "twice the output, half of it unused (SiT)")

  @property
  def end(self) -> float:
    """The network's time at one end of the path; it is 0 at the other."""
    return 1.0

  @property
  def clean(self) -> float:
    """The network's time of data."""
    return float(self.time == "signal")

  @property
  def outputs(self) -> int:
    """Outputs of the network per channel."""
    return 1 + self.spare

  def check(self, sampling: guided.Guided, learns: bool = True) -> None:
    """Raises ValueError for a sampler that cannot walk along straight paths."""
    del learns
    if self.ends and self.uniform:
      raise ValueError(
        f"noise.ends {self.ends} with noise.uniform: times are of one kind"
      )
    if sampling.sampler not in SAMPLERS:
      raise ValueError(
        f"sampling.sampler {sampling.sampler!r} on straight paths: one of "
        + ", ".join(SAMPLERS)
      )
    if self.grid != "even" and (sampling.steps < 3 or sampling.steps % 2 == 0):
      raise ValueError(
        f"sampling.steps {sampling.steps} between the times of noise.grid "
        f"{self.grid!r}: odd from 3 on (19, 29, 39)"
      )
    self.table(sampling).check(sampling.sampler)

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, jax.Array]:
    """t [b] in (0, 1), the network's time; noise of that shape [b, ...]."""
    if self.ends:
      t = times.dense_ends(jax.random.uniform(keys("t"), shape[:1]), self.ends)
    elif self.uniform:
      t = jax.random.uniform(keys("t"), shape[:1])
    else:
      t = times.logit_normal(jax.random.normal(keys("t"), shape[:1]))
    if self.drawn_shift != 1:
      t = t / (t + self.drawn_shift * (1 - t))
    return {"t": t, "noise": jax.random.normal(keys("noise"), shape)}

  def add(
    self, x: jax.Array, t: jax.Array, noise: jax.Array
  ) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(x_u, u, 1 - u) of data x [b, ...] at times t [b]; u [b, 1, ...]."""
    t = targets.expand(t, x.ndim)
    u = t if self.time == "signal" else 1 - t
    a, s = schedules.interpolant("linear", u)
    return targets.noised(x, noise, a, s), a, s

  def share(self, t: jax.Array) -> jax.Array:
    """Times in [0, 1), as the network is given them."""
    return t

  def velocity(self, x: jax.Array, noise: jax.Array) -> jax.Array:
    """What the network should predict."""
    return x - noise if self.time == "signal" else noise - x

  def errors(
    self, raw: jax.Array, x: jax.Array, draws: method.Draws
  ) -> dict[str, jax.Array]:
    """flow [b], the squared error of the velocity.

    Args:
      raw: the network's prediction [b, ..., c or 2 c] at the drawn times.
      x: data [b, ..., c].
      draws: of `draw`.
    """
    error = raw[..., : x.shape[-1]] - self.velocity(x, draws["noise"])
    return {"flow": (error**2).mean(tuple(range(1, x.ndim)))}

  def table(
    self, sampling: guided.Guided, share: float = 1.0
  ) -> samplers.Table:
    """The sampler along the path, shorter steps near noise for s < 1.

    Args:
      sampling: which sampler, in how many steps.
      share: of the steps, the last, that are made.
    """
    levels = self.levels(sampling.steps).last(share)
    return solvers.make(sampling.sampler, levels, eta=sampling.eta)

  def levels(self, steps: int) -> schedules.Levels:
    """The path of a sampler, from noise to data."""
    times: np.ndarray | int = steps
    if self.grid == "linear_quadratic":
      times = respace.linear_quadratic(steps + 1)
    return schedules.straight(times, self.shift, time=self.time)

  def output(
    self,
    raw: jax.Array,
    x: jax.Array,
    level: samplers.Level,
    *,
    channels: int,
    clip: float,
  ) -> targets.Output:
    """What the sampler needs of a (guided) raw prediction at x.

    Args:
      raw: [b, h, w, c or more], velocity first.
      x: noisy state.
      level: of the call.
      channels: c.
      clip: limit of |x0|; 0: none.
    """
    v = raw[..., :channels]
    towards_data = v if self.time == "signal" else -v
    return targets.output(
      "velocity", towards_data, x=x, a=level.signal, s=level.noise, clip=clip
    )
