"""DDIM with a frozen network whose noise a second one corrects, both ways.

    e'    = e(x_t, t) - s_t g(x_t, t, code)
    x0    = clip((x_t - s_t e') / a_t),  e'' = (x_t - a_t x0) / s_t
    x     = a x0 + s e''                 a, s of the level the step leads to

    guided   times 0, T // n, 2 T // n ..; down to data; up to pure noise
    spaced   times int(linspace(0, T - 1, n + 1)); between the first and last

DiTi (yue-zhongqi/diti@ca4ed6c, `masked_guided_ddim`) and PDAE (there,
`shift_ddim_sample_loop`). Below a share `stop` of the times nothing is told of
the code: on the guided path the code is 0, and g of no code is still taken off;
on the spaced path, where calls are counted instead, g is 0 (one call sooner
than in ckczzj/PDAE: a whole share leaves nothing).
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.diffusion import respace
from jmim.diffusion import sampler as samplers
from jmim.diffusion import schedule
from jmim.diffusion import solvers
from jmim.diffusion import targets
from jmim.methods.parts import gaussian
from jmim.methods.parts import time_blocks

# (x [b, h, w, c], times [b], code [b, d]) -> (noise, shift), each like x.
Network = Callable[
  [jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]
]


def coefficients(
  process: schedule.Schedule,
) -> tuple[np.ndarray, np.ndarray]:
  """(c_t, w_t) [T] float64 of training: factor of g, weight of the error.

  c = -sqrt(alpha_t) (1 - abar_{t-1}) / sqrt(1 - abar_t)
  w = snr^0.1 / (1 + snr),   snr = abar_t / (1 - abar_t),   abar_{-1} = 1
  """
  power, before = process.power, np.append(1.0, process.power[:-1])
  shift = -np.sqrt(1 - process.beta) * (1 - before) / process.noise
  snr = power / (1 - power)
  return shift, snr**0.1 / (1 + snr)


def factors(
  process: schedule.Schedule, t: jax.Array, ndim: int
) -> tuple[jax.Array, ...]:
  """`coefficients` float32 at times t [b], as [b, 1, ...] of so many axes."""
  tables = coefficients(process)
  return tuple(targets.expand(schedule.pick(a, t), ndim) for a in tables)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shifted:
  """The path, its steps, and what of a code is seen on it."""

  asked: ClassVar[bool] = True  # a run may be sampled otherwise

  path: str = field.value(
    "guided", "DiTi's path or PDAE's", choices=("guided", "spaced")
  )
  steps: int = field.value(100, "steps from noise to data", low=1)
  inversion: int = field.value(1000, "steps from data to noise", low=1)
  masked: bool = field.value(
    True, "each time reads its prefix of the code; else all of it"
  )
  stop: float = field.value(
    0.0, "share of the times, the least noisy, without code", low=0.0, high=1.0
  )
  clip: float = field.value(1.0, "limit of |x0|; 0: none", low=0.0)

  def check(self, times: int) -> None:
    """Raises ValueError for more steps than there are times."""
    most = times - (self.path == "spaced")
    for name in ("steps", "inversion"):
      if (n := getattr(self, name)) > most:
        raise ValueError(
          f"sampling.{name}={n}: at most {most} of {times} times"
        )

  def visited(self, times: int, steps: int) -> np.ndarray:
    """Descending times; of the spaced path also that of its end."""
    if self.path == "spaced":
      return respace.visited("rounded", times, steps)
    return np.arange(0, times, times // steps)[::-1]

  def levels(
    self, process: schedule.Schedule, inverse: bool = False
  ) -> schedule.Levels:
    """Those of a way down, or up."""
    times = len(process)
    visited = self.visited(times, self.inversion if inverse else self.steps)
    if self.path == "spaced":
      path = process.levels(visited[:-1], visited[-1])
      return path.reverse() if inverse else path
    if not inverse:
      return process.levels(visited)
    up = visited[::-1]
    ends = lambda table, end: np.append(table[up], end)
    return schedule.Levels(
      ends(np.arange(times, dtype=np.float64), times),
      ends(process.signal, 0.0),
      ends(process.noise, 1.0),
    )

  def walk(
    self,
    x: jax.Array,
    z: jax.Array,
    *,
    network: Network,
    noise: gaussian.Gaussian,
    blocks: time_blocks.TimeBlocks,
    inverse: bool = False,
  ) -> jax.Array:
    """The state [b, h, w, c] at the other end of the path.

    Args:
      x: noise, or (inverse) data.
      z: codes [b, d].
      network: see `Network`.
      noise: the process.
      blocks: what of a code is read at which time.
      inverse: from data to noise.
    """
    table = solvers.ddim(self.levels(noise.process, inverse))

    def denoise(x, level):
      t = jnp.full(len(x), level.time)
      code = blocks.prefix(z, t, noise.times) if self.masked else z
      on = self._told(level, len(table), times=noise.times, inverse=inverse)
      guided = self.path == "guided"
      eps, shift = network(x, t, code * on if guided else code)
      eps = eps - level.noise * shift * (1.0 if guided else on)
      return targets.output(
        "eps",
        eps,
        x=x,
        a=level.signal,
        s=level.noise,
        clip=self.clip,
        scales=level.scales,
      )

    state, _ = samplers.sample(table, denoise, x)
    return state

  def _told(self, level, calls, *, times, inverse):
    """1.0 where the code is told of, else 0.0."""
    if self.path == "guided":
      return (level.time >= int(self.stop * times)).astype(jnp.float32)
    if inverse:
      return jnp.float32(1)
    left = calls - 1 - level.index  # calls after this one
    return (left >= int(self.stop * calls)).astype(jnp.float32)
