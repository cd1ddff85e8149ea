"""A process whose mean moves from an image x to a degraded one, y.

Yue et al. 2023 (zsyOAOA/ResShift@3ce1d81):

    x_t = x + eta_t (y - x) + kappa sqrt(eta_t) eps         t = 0 .. T - 1

The residual u = x_t - y is a process as all others are, with data x - y,

    u_t = (1 - eta_t) (x - y) + kappa sqrt(eta_t) eps

so that `levels` and `solvers.ddim` walk it: without noise that is the step k x0
+ m x_t + j y of SinSR and TAD-SR, with the deviations of `posterior` ResShift's
own sampler. Tables are float64 numpy, as of `diffusion.schedule`.
"""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from jmim.diffusion import schedule

# sqrt(eta_1) is at most this, whatever the first level is to be.
FIRST = np.sqrt(0.001)
SCALINGS = ("latent", "pixel", "none")


class Posterior(NamedTuple):
  """q(x_{t-1} | x_t, x) of each time, [T] float64 each; x_{-1} is x.

  Attributes:
    of_x: factor of x_t in the mean.
    of_x0: factor of x in the mean.
    var: variance; 0 at the first time.
    log_var: its logarithm; at the first time that of the second.
  """

  of_x: np.ndarray
  of_x0: np.ndarray
  var: np.ndarray
  log_var: np.ndarray


class Mix(NamedTuple):
  """Factors k, m, j of x0, x_t and y in a deterministic step, [T] each."""

  of_x0: np.ndarray
  of_x: np.ndarray
  of_y: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Shifted:
  """T discrete times of the process.

  Attributes:
    root: [T] float64, sqrt(eta_t), ascending.
    kappa: deviation of the noise where the mean has arrived at y.
    times: [T] network time inputs; None: 0 .. T - 1.
  """

  root: np.ndarray
  kappa: float
  times: np.ndarray | None = None

  @functools.cached_property
  def eta(self) -> np.ndarray:
    """[T] share of y in the mean."""
    return self.root**2

  @functools.cached_property
  def before(self) -> np.ndarray:
    """[T] eta of the time before, 0 of the first."""
    return np.append(0.0, self.eta[:-1])

  @property
  def signal(self) -> np.ndarray:
    """[T] factor of x - y in the residual."""
    return 1 - self.eta

  @property
  def noise(self) -> np.ndarray:
    """[T] factor of eps."""
    return self.kappa * self.root

  def __len__(self) -> int:
    return len(self.root)

  @property
  def inputs(self) -> np.ndarray:
    """[T] what the network is given as times."""
    return np.arange(len(self)) if self.times is None else self.times

  def posterior(self) -> Posterior:
    """Of a step to the time before."""
    shift = self.eta - self.before
    var = self.kappa**2 * self.before * shift / self.eta
    floor = np.append(var[1], var[1:])
    return Posterior(
      self.before / self.eta, shift / self.eta, var, np.log(floor)
    )

  def mix(self) -> Mix:
    """Of a deterministic step to the time before; they sum to 1."""
    m = np.sqrt(self.before / self.eta)
    j = self.before - np.sqrt(self.before * self.eta)
    return Mix(1 - j - m, m, j)

  def inside(self, scaling: str) -> np.ndarray:
    """[T] factors of a state that a network reads.

    Args:
      scaling: "latent", 1 / sqrt(eta kappa^2 + 1), of data with deviation 1;
        "pixel", 1 / (3 kappa sqrt(eta) + 1), of data in -1 .. 1; "none".

    Raises:
      ValueError: another name.
    """
    if scaling not in SCALINGS:
      raise ValueError(f"scaling {scaling!r} is none of {SCALINGS}")
    if scaling == "latent":
      return 1 / np.sqrt(self.eta * self.kappa**2 + 1)
    if scaling == "pixel":
      return 1 / (3 * self.kappa * self.root + 1)
    return np.ones(len(self))

  def levels(self) -> schedule.Levels:
    """The path of the residual from the last time to data."""
    return schedule.Levels(
      np.append(self.inputs[::-1], 0).astype(np.float64),
      np.append(self.signal[::-1], 1.0),
      np.append(self.noise[::-1], 0.0),
    )

  def respaced(self, steps: int) -> "Shifted":
    """The process at times int(T / steps i); networks know the old ones.

    Raises:
      ValueError: more steps than times, or fewer than 1.
    """
    if not 1 <= steps <= len(self):
      raise ValueError(f"{steps} steps of {len(self)} times")
    kept = np.array([int(len(self) / steps * i) for i in range(steps)])
    return Shifted(self.root[kept], self.kappa, self.inputs[kept])


def make(
  times: int, *, kappa: float, power: float, least: float, end: float
) -> Shifted:
  """The schedule of ResShift.

  sqrt(eta_t) = s b^((T - 1) ((t - 1) / (T - 1))^power), t = 1 .. T, from s =
  min(least / kappa, least, sqrt(0.001)) to s b^(T - 1) = end.

  Args:
    times: T, 2 or more.
    kappa: see `Shifted`.
    power: below 1 it leaves the first levels fast.
    least: bound of sqrt(eta_1) and of the first level's noise.
    end: sqrt(eta_T) (ResShift's `etas_end`).

  Raises:
    ValueError: fewer than two times, or levels that do not rise.
  """
  first = min(least / kappa, least, FIRST)
  if times < 2 or not 0 < first < end:
    raise ValueError(
      f"{times} times with sqrt(eta) from {first:.3g} to {end:.3g}: at least "
      "2 times, and levels that rise from above 0"
    )
  share = (np.arange(times) / (times - 1)) ** power
  return Shifted(first * (end / first) ** share, kappa)
