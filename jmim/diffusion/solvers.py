"""Samplers as tables of coefficients, see `jmim.diffusion.sampler`.

Those of one or two calls per step; `jmim.diffusion.multistep` has those that
remember. a: signal, s: noise, sigma = s / a. All are computed in float64 from
a path (`schedule.Levels`) of any schedule.
"""

import dataclasses
from typing import Protocol

import numpy as np

from jmim.diffusion import coefficients
from jmim.diffusion import multistep
from jmim.diffusion import sampler
from jmim.diffusion import schedule
from jmim.diffusion import variance

NAMES = (
  "ddpm",
  "ddim",
  "euler",
  "euler_ancestral",
  "heun",
  "dpmpp_2m",
  "dpmpp_2s",
  "dpmpp_3s",
  "unipc",
)
X, ANCHOR, EPS, X0 = coefficients.COLUMNS


class Walk(Protocol):
  """What says by which sampler a process is walked back, in how many steps."""

  sampler: str
  steps: int
  eta: float


def ddpm(levels: schedule.Levels, kind: str = "small") -> sampler.Table:
  """Ancestral sampling from p(x_s | x_t) (Ho et al. 2020).

  Args:
    levels: path, which may leave out times: the variances follow.
    kind: "small" (posterior), "large" (forward) or "learned" variance.

  Raises:
    ValueError: unknown kind.
  """
  if kind not in variance.KINDS:
    raise ValueError(f"variance {kind!r}: one of {', '.join(variance.KINDS)}")
  table, q = coefficients.blank(levels), variance.posterior(levels)
  table.out[:, X], table.out[:, X0] = q.of_x, q.of_x0
  size = {"small": q.var, "large": q.beta, "learned": np.ones(len(levels))}
  std = np.where(levels.noise[1:] > 0, np.sqrt(size[kind]), 0.0)
  return dataclasses.replace(table, std=std, learned=kind == "learned")


def ddim(
  levels: schedule.Levels,
  eta: float | np.ndarray = 0.0,
  std: np.ndarray | None = None,
) -> sampler.Table:
  """x_s = a_s x0 + sqrt(s_s^2 - std^2) eps + std z (Song et al. 2021).

  Args:
    levels: path; also one that runs from data to noise (inversion).
    eta: 0 deterministic, 1 the variance of DDPM's posterior; one number or [n].
    std: [n] deviations instead of eta's; with kappa sqrt(...) of ResShift's
      posterior this is its sampler, on the residual x - y.

  Raises:
    ValueError: eta adds more noise than a level has.
  """
  table = coefficients.blank(levels)
  a, s = levels.signal, levels.noise
  if std is None and not np.any(eta):
    std = np.zeros(len(levels))
  elif std is None:
    beta = s[:-1] ** 2 - (a[:-1] / a[1:] * s[1:]) ** 2
    std = eta * s[1:] / s[:-1] * np.sqrt(beta)
    if (std > s[1:] * (1 + 1e-9)).any():
      raise ValueError(f"eta={np.max(eta):g} adds more noise than a level has")
  table.out[:, X0] = a[1:]
  table.out[:, EPS] = np.sqrt(np.maximum(s[1:] ** 2 - std**2, 0.0))
  return dataclasses.replace(table, std=std)


def euler(levels: schedule.Levels) -> sampler.Table:
  """Euler on the probability-flow ODE of x / a in s / a: DDIM with eta 0."""
  return ddim(levels, 0.0)


def euler_ancestral(levels: schedule.Levels, eta: float = 1.0) -> sampler.Table:
  """k-diffusion's ancestral Euler: DDIM with eta, in x / a and s / a."""
  return ddim(levels, eta)


def heun(
  levels: schedule.Levels,
  churn: float = 0.0,
  low: float = 0.0,
  high: float = np.inf,
  inflate: float = 1.0,
) -> sampler.Table:
  """EDM's sampler (Karras et al. 2022, algorithms 1 and 2).

  2 n calls (one less if the path ends clean): Euler to the next level, then
  the trapezoid from the same start.

  Args:
    levels: path.
    churn: S_churn, noise added before steps with low <= s / a <= high.
    low: S_tmin.
    high: S_tmax.
    inflate: S_noise.
  """
  a, sigma = levels.signal, levels.noise / levels.signal
  n = len(levels)
  # Algorithm 2, line 3: gamma_i; line 5: sigma_hat = sigma + gamma sigma.
  gamma = np.where(
    (sigma[:-1] >= low) & (sigma[:-1] <= high), min(churn / n, 2**0.5 - 1), 0.0
  )
  hat = sigma[:-1] * (1 + gamma)
  # Line 9: the correction is left out where the path ends clean (sigma 0).
  calls = [(i, k) for i in range(n) for k in range(1 + bool(sigma[i + 1]))]
  anchor, out = np.zeros((len(calls), 4)), np.zeros((len(calls), 5))
  churned = np.zeros(len(calls))
  for j, (i, second) in enumerate(calls):
    # In x / a the step is h = sigma_{i+1} - sigma_hat; `scale` leads back to x.
    scale, step = a[i + 1] / a[i], a[i + 1] * (sigma[i + 1] - hat[i])
    if second:
      # Line 11: x_hat + h / 2 (d + d'), d = (x_hat - x0) / sigma_hat of the
      # first call, which the anchor and the output before this one give back.
      half = step / 2 / hat[i]
      anchor[j, 1] = 1.0
      out[j, [ANCHOR, EPS, X0 + 1]] = scale + half / a[i], step / 2, -half
      continue
    # Line 6: sqrt(sigma_hat^2 - sigma^2) S_noise of new noise.
    spread = np.sqrt(max(hat[i] ** 2 - sigma[i] ** 2, 0.0))
    churned[j] = a[i] * inflate * spread
    anchor[j, 0] = 1.0
    out[j, [X, EPS]] = scale, step  # line 8: x_hat + h d
  return sampler.Table(
    level=_heun_level(levels, hat, calls),
    anchor=anchor,
    out=out,
    std=np.zeros(len(calls)),
    churn=churned,
  )


def _heun_level(
  levels: schedule.Levels, hat: np.ndarray, calls: list[tuple[int, int]]
) -> sampler.Level:
  """Where the calls (step, whether it is the second) stand; hat: sigma_hat."""
  rows, a = [], levels.signal
  for i, second in calls:
    at, time = a[i + second], levels.time[i + second]
    sigma = levels.noise[i + second] / at
    ratio = sigma if second else hat[i]
    if ratio != sigma:  # raised, off the path
      time = levels.time_at(-np.log(ratio))
    rows.append((time, at, at * ratio, a[i + 1], levels.noise[i + 1]))
  rows = np.asarray(rows).T
  unused = np.full(len(calls), np.log(1e-20))  # variances of a posterior
  return sampler.Level(
    np.arange(len(calls)),
    *rows,
    log_small=unused,
    log_large=unused,
    scales=coefficients.scales(rows[1], rows[2]),
  )


def make(
  name: str,
  levels: schedule.Levels,
  eta: float = 0.0,
  kind: str = "small",
) -> sampler.Table:
  """A sampler by name.

  Args:
    name: one of NAMES.
    levels: path.
    eta: of ddim; euler_ancestral takes 1.
    kind: variance of ddpm.

  Raises:
    ValueError: unknown name.
  """
  if name == "ddim":
    return ddim(levels, eta)
  if name == "ddpm":
    return ddpm(levels, kind)
  plain = {
    "euler": euler,
    "euler_ancestral": euler_ancestral,
    "heun": heun,
    "dpmpp_2m": multistep.dpmpp_2m,
    "dpmpp_2s": multistep.dpmpp_2s,
    "dpmpp_3s": multistep.dpmpp_3s,
    "unipc": multistep.unipc,
  }
  if name not in plain:
    raise ValueError(f"sampler {name!r} is none of {', '.join(NAMES)}")
  return plain[name](levels)
