"""Rows of coefficients that samplers start from, see `jmim.diffusion.sampler`.

a: signal, s: noise, lambda = log(a / s), h: step of lambda. All are computed
in float64 from a path (`schedule.Levels`) of any schedule.
"""

import numpy as np

from jmim.diffusion import sampler
from jmim.diffusion import schedule
from jmim.diffusion import variance

COLUMNS = X, ANCHOR, EPS, X0 = range(4)  # of `Table.out`


def blank(levels: schedule.Levels, memory: int = 1) -> sampler.Table:
  """A table of one call per step whose anchor is x and whose rest is 0."""
  n, q = len(levels), variance.posterior(levels)
  anchor = np.zeros((n, 2 + memory))
  anchor[:, 0] = 1.0
  large = np.log(np.maximum(q.beta, 1e-20))
  level = sampler.Level(
    np.arange(n),
    levels.time[:-1],
    signal=levels.signal[:-1],
    noise=levels.noise[:-1],
    to_signal=levels.signal[1:],
    to_noise=levels.noise[1:],
    log_small=q.log_var,
    log_large=large,
    scales=scales(levels.signal[:-1], levels.noise[:-1]),
  )
  out = np.zeros((n, 3 + memory))
  return sampler.Table(
    level=level, anchor=anchor, out=out, std=np.zeros(n), churn=np.zeros(n)
  )


def scales(signal: np.ndarray, noise: np.ndarray) -> tuple:
  """(1 / signal, noise / signal), inf where there is no signal."""
  with np.errstate(divide="ignore", invalid="ignore"):  # pure noise: inf
    return 1 / signal, noise / signal


def exponential(levels: schedule.Levels, i: int, j: int) -> tuple[float, float]:
  """(s_j / s_i, -a_j expm1(-h)) of the exact step for a constant x0."""
  lam = levels.log_snr_half
  h = lam[j] - lam[i]
  return levels.noise[j] / levels.noise[i], -levels.signal[j] * np.expm1(-h)
