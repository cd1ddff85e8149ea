"""Noise schedules: x_t = signal x0 + noise eps, and paths through them.

A `Schedule` is a table of T discrete times (DDPM and its children). `Levels`
is what a sampler walks along, from noise to data: any times, any schedule.
Tables are float64 numpy and are cast once, where they meet float32 arrays:
1 - cumprod(1 - beta) in float32 would lose the small noise levels.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

NAMES = (
  "linear",
  "linear_last",
  "scaled_linear",
  "root_linear",
  "quadratic",
  "cosine",
  "sqrt",
  "sigmoid",
  "vp",
)
# Which end of a straight path the network's time 1 is.
TIMES = ("signal", "noise")


def betas(
  name: str, steps: int = 1000, start: float = 1e-4, end: float = 0.02
) -> np.ndarray:
  """[steps] float64 variances of one step, by the name of the schedule.

  linear, linear_last (the same, but the last is 0.999; Li et al. 2022,
  SRDiff), scaled_linear (linear in the square root; LDM), root_linear (in the
  square; LDM's "sqrt"), quadratic and sigmoid run from `start` to `end`, of
  root_linear from and to their square roots; the others have no such ends:
  cosine (Nichol and Dhariwal 2021, capped at 0.999), sqrt (Li et al. 2022,
  Diffusion-LM), vp (Song et al. 2021: 0.1 to 20 per unit of time).

  Raises:
    ValueError: unknown name.
  """
  u = np.linspace(0.0, 1.0, steps)
  if name == "linear":
    return start + (end - start) * u
  if name == "linear_last":
    return np.append(betas("linear", steps, start, end)[:-1], 0.999)
  if name == "scaled_linear":
    return np.linspace(start**0.5, end**0.5, steps) ** 2
  if name == "root_linear":
    return np.sqrt(np.linspace(start, end, steps))
  if name == "quadratic":
    return start + (end - start) * u**2
  if name == "sigmoid":
    return start + (end - start) / (1 + np.exp(-np.linspace(-6.0, 6.0, steps)))
  if name == "cosine":
    f = lambda t: np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
  elif name == "sqrt":
    f = lambda t: 1 - np.sqrt(t + 1e-4)
  elif name == "vp":
    f = lambda t: np.exp(-0.1 * t - 0.5 * (20 - 0.1) * t**2)
  else:
    raise ValueError(f"schedule {name!r} is none of {', '.join(NAMES)}")
  return from_cumulative(f, steps)


def from_cumulative(
  f: Callable[[np.ndarray], np.ndarray], steps: int, most: float = 0.999
) -> np.ndarray:
  """beta_i = min(1 - f((i + 1) / T) / f(i / T), most), f = signal^2 of [0, 1].

  Equal to the authors' loop in Python floats.
  """
  edges = np.asarray([f(i / steps) for i in range(steps + 1)])
  return np.minimum(1 - np.maximum(edges[1:], 0.0) / edges[:-1], most)


def zero_terminal(beta: np.ndarray) -> np.ndarray:
  """Shifts and scales sqrt(signal^2) so that the last is exactly 0.

  Lin et al. 2024 ("Common diffusion noise schedules ... are flawed"),
  algorithm 1: the first stays as it was.
  """
  root = np.sqrt(np.cumprod(1 - beta))
  root = (root - root[-1]) * root[0] / (root[0] - root[-1])
  power = root**2
  return 1 - np.concatenate([power[:1], power[1:] / power[:-1]])


@dataclasses.dataclass(frozen=True, eq=False)
class Levels:
  """A path of n steps through n + 1 noise levels, the last usually clean.

  Attributes:
    time: [n + 1], network time input; unused at the clean level.
    signal: [n + 1] factor of x0.
    noise: [n + 1] factor of eps.
  """

  time: np.ndarray
  signal: np.ndarray
  noise: np.ndarray

  def __len__(self) -> int:
    return len(self.noise) - 1

  def part(self, start: int = 0, stop: int | None = None) -> "Levels":
    """Levels start .. stop (both included): the steps between them."""
    rows = slice(start, None if stop is None else stop + 1)
    return Levels(self.time[rows], self.signal[rows], self.noise[rows])

  def last(self, share: float) -> "Levels":
    """The last steps, that share of them, rounded; at least one."""
    return self.part(len(self) - max(1, round(share * len(self))))

  def reverse(self) -> "Levels":
    """From data to noise: DDIM along it inverts DDIM."""
    return Levels(self.time[::-1], self.signal[::-1], self.noise[::-1])

  @functools.cached_property
  def log_snr_half(self) -> np.ndarray:
    """lambda = log(signal / noise); inf where clean."""
    with np.errstate(divide="ignore"):
      return np.log(self.signal) - np.log(self.noise)

  def time_at(self, half_log_snr: np.ndarray) -> np.ndarray:
    """Time of a level between those of the path, by interpolation."""
    known = np.isfinite(self.log_snr_half)
    lam, time = self.log_snr_half[known], self.time[known]
    order = np.argsort(lam)
    return np.interp(half_log_snr, lam[order], time[order])


@dataclasses.dataclass(frozen=True, eq=False)
class Schedule:
  """T discrete times of a variance-preserving process.

  Attributes:
    beta: [T] float64 variances of one step.
    times: [T] network time inputs; None: 0 .. T - 1.
  """

  beta: np.ndarray
  times: np.ndarray | None = None

  @functools.cached_property
  def power(self) -> np.ndarray:
    """[T] float64 signal^2, the cumulative product of 1 - beta."""
    return np.cumprod(1.0 - self.beta)

  @functools.cached_property
  def signal(self) -> np.ndarray:
    """[T] float64."""
    return np.sqrt(self.power)

  @functools.cached_property
  def noise(self) -> np.ndarray:
    """[T] float64."""
    return np.sqrt(1.0 - self.power)

  def __len__(self) -> int:
    return len(self.beta)

  def check(self, kind: str = "eps") -> None:
    """Raises ValueError where a prediction would be divided by zero.

    x0 = (x - s eps) / a has no value in pure noise, where a = 0; of "v" and
    "x0" there is no division. eps = (x - a x0) / s needs s > 0 everywhere.

    Args:
      kind: of the prediction, see `diffusion.targets`.
    """
    if not ((self.beta > 0) & (self.beta <= 1)).all():
      raise ValueError(
        "a schedule (beta_start, beta_end) with a step outside (0, 1]: "
        f"{self.beta.min():.3g} to {self.beta.max():.3g}"
      )
    least = np.finfo(np.float32).tiny  # less is 0 on most devices
    if self.noise.min() < least:
      raise ValueError("beta_start: no noise at all at first")
    if kind == "eps" and self.signal.min() < least:
      raise ValueError(
        "the last level is pure noise (zero_snr, or beta_end), where a "
        "network that predicts noise divides by zero: x0 = (x - s eps) / a "
        "(predict 'v' or 'x0' where the method can, or end with some signal)"
      )

  def at(self, t: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(signal, noise) float32 of integer times, in the shape of `t`."""
    return pick(self.signal, t), pick(self.noise, t)

  def respaced(self, kept: np.ndarray) -> "Schedule":
    """The process that visits only ascending times; betas from the ratios.

    The network is still given the original times.
    """
    kept = np.asarray(kept)
    power = np.concatenate([[1.0], self.power[kept]])
    times = kept if self.times is None else self.times[kept]
    return Schedule(1.0 - power[1:] / power[:-1], times)

  def levels(
    self, visited: np.ndarray | None = None, end: int | None = None
  ) -> Levels:
    """The path along descending times (None: all), then to clean data.

    With `end` it leads to that time instead (LDM's ends at time 0).
    """
    if visited is None:
      visited = np.arange(len(self))[::-1]
    visited = np.asarray(visited)
    inputs = visited if self.times is None else self.times[visited]
    a, s = (1.0, 0.0) if end is None else (self.signal[end], self.noise[end])
    return Levels(
      np.append(inputs, end or 0).astype(np.float64),
      np.append(self.signal[visited], a),
      np.append(self.noise[visited], s),
    )


def pick(table: np.ndarray, t: jax.Array) -> jax.Array:
  """float32 entries of a float64 table."""
  return jnp.asarray(table, jnp.float32)[t]


def make(
  name: str,
  steps: int = 1000,
  start: float = 1e-4,
  end: float = 0.02,
  zero_snr: bool = False,
) -> Schedule:
  """A schedule by name, see `betas`; `zero_snr`: pure noise at the end."""
  beta = betas(name, steps, start, end)
  return Schedule(zero_terminal(beta) if zero_snr else beta)


def karras(
  steps: int, least: float = 0.002, most: float = 80.0, rho: float = 7.0
) -> Levels:
  """EDM's path (Karras et al. 2022): signal 1, time = log(noise) / 4."""
  u = np.linspace(0.0, 1.0, steps)
  power = 1 / rho
  sigma = (most**power + u * (least**power - most**power)) ** rho
  return Levels(
    np.append(np.log(sigma) / 4, 0.0), np.ones(steps + 1), np.append(sigma, 0.0)
  )


def straight(
  times: np.ndarray | int, shift: float = 1.0, time: str = "signal"
) -> Levels:
  """A path of the linear interpolant x = u x0 + (1 - u) eps.

  Args:
    times: u of each level, ascending from 0 (noise) to 1 (data); or the number
      of equal steps.
    shift: u -> shift u / (1 + (shift - 1) u); below 1 more steps near noise.
    time: the network's: "signal" (1 = data) or "noise" (1 = noise).

  Raises:
    ValueError: another `time`, or a shift of no more than 0.
  """
  if shift <= 0:
    raise ValueError(f"shift {shift}: above 0; 1 leaves the times as they are")
  u = np.linspace(0, 1, times + 1) if isinstance(times, int) else times
  u = np.asarray(u, np.float64)
  u = shift * u / (shift * u + (1 - u))  # written so, it leaves 0 and 1 exact
  if time not in TIMES:
    raise ValueError(f"time is one of {', '.join(TIMES)}, not {time!r}")
  return Levels(u if time == "signal" else 1 - u, u, 1 - u)


def interpolant(name: str, u: jax.Array) -> tuple[jax.Array, jax.Array]:
  """(signal, noise) at continuous u in [0, 1], 1 = data.

  linear: (u, 1 - u), rectified flow; trigonometric: (sin, cos) of pi u / 2,
  variance preserving.

  Raises:
    ValueError: unknown name.
  """
  if name == "linear":
    return u, 1 - u
  if name == "trigonometric":
    return jnp.sin(jnp.pi / 2 * u), jnp.cos(jnp.pi / 2 * u)
  raise ValueError(f"interpolant {name!r} is not 'linear', 'trigonometric'")
