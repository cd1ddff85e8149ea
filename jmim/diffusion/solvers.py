"""Samplers as tables of coefficients, see `jmim.diffusion.sampler`.

a: signal, s: noise, lambda = log(a / s), h: step of lambda. All are computed
in float64 from a path (`schedule.Levels`) of any schedule.
"""

import numpy as np

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
  "unipc",
)
X, ANCHOR, EPS, X0 = 0, 1, 2, 3  # columns of `Table.out`


def _blank(levels: schedule.Levels, memory: int = 1) -> sampler.Table:
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
    scales=_scales(levels.signal[:-1], levels.noise[:-1]),
  )
  out = np.zeros((n, 3 + memory))
  return sampler.Table(
    level=level, anchor=anchor, out=out, std=np.zeros(n), churn=np.zeros(n)
  )


def _scales(signal: np.ndarray, noise: np.ndarray) -> tuple:
  with np.errstate(divide="ignore", invalid="ignore"):  # pure noise: inf
    return 1 / signal, noise / signal


def _replace(table: sampler.Table, **changes) -> sampler.Table:
  return sampler.Table(**{**vars(table), **changes})


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
  table, q = _blank(levels), variance.posterior(levels)
  table.out[:, X], table.out[:, X0] = q.of_x, q.of_x0
  size = {"small": q.var, "large": q.beta, "learned": np.ones(len(levels))}
  std = np.where(levels.noise[1:] > 0, np.sqrt(size[kind]), 0.0)
  return _replace(table, std=std, learned=kind == "learned")


def ddim(
  levels: schedule.Levels, eta: float = 0.0, std: np.ndarray | None = None
) -> sampler.Table:
  """x_s = a_s x0 + sqrt(s_s^2 - std^2) eps + std z (Song et al. 2021).

  Args:
    levels: path; also one that runs from data to noise (inversion).
    eta: 0 deterministic, 1 the variance of DDPM's posterior.
    std: [n] deviations instead of eta's; with kappa sqrt(...) of ResShift's
      posterior this is its sampler, on the residual x - y.
  """
  table = _blank(levels)
  a, s = levels.signal, levels.noise
  if std is None and eta == 0:
    std = np.zeros(len(levels))
  elif std is None:
    beta = s[:-1] ** 2 - (a[:-1] / a[1:] * s[1:]) ** 2
    std = eta * s[1:] / s[:-1] * np.sqrt(beta)
  table.out[:, X0] = a[1:]
  table.out[:, EPS] = np.sqrt(np.maximum(s[1:] ** 2 - std**2, 0.0))
  return _replace(table, std=std)


def euler(levels: schedule.Levels) -> sampler.Table:
  """Euler on the probability-flow ODE of x / a in s / a: DDIM with eta 0."""
  return ddim(levels, 0.0)


def euler_ancestral(levels: schedule.Levels, eta: float = 1.0):
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
  gain = np.where(
    (sigma[:-1] >= low) & (sigma[:-1] <= high), min(churn / n, 2**0.5 - 1), 0.0
  )
  hat = sigma[:-1] * (1 + gain)
  calls = [(i, k) for i in range(n) for k in range(1 + bool(sigma[i + 1]))]
  rows, added = [], []
  anchor = np.zeros((len(calls), 4))
  out = np.zeros((len(calls), 5))
  for j, (i, second) in enumerate(calls):
    scale, step = a[i + 1] / a[i], a[i + 1] * (sigma[i + 1] - hat[i])
    here = (a[i + 1], sigma[i + 1]) if second else (a[i], hat[i])
    lam = -np.log(here[1])
    told = levels.time_at(lam) if gain[i] and not second else None
    told = levels.time[i + second] if told is None else told
    rows.append(
      (told, here[0], here[0] * here[1], a[i + 1], levels.noise[i + 1])
    )
    if second:  # base + step / 2 ((base - x0_before) / sigma + eps)
      anchor[j, 1] = 1.0
      half = step / 2 / hat[i]
      out[j, [ANCHOR, EPS, X0 + 1]] = scale + half / a[i], step / 2, -half
    else:
      anchor[j, 0] = 1.0
      out[j, [X, EPS]] = scale, step
    spread = np.sqrt(max(hat[i] ** 2 - sigma[i] ** 2, 0.0))
    added.append(0.0 if second else a[i] * inflate * spread)
  nothing = np.full(len(calls), np.log(1e-20))
  rows = np.asarray(rows).T
  level = sampler.Level(
    np.arange(len(calls)), *rows, nothing, nothing, _scales(rows[1], rows[2])
  )
  zeros = np.zeros(len(calls))
  return sampler.Table(
    level=level, anchor=anchor, out=out, std=zeros, churn=np.asarray(added)
  )


def _exponential(levels: schedule.Levels, i: int, j: int):
  """(s_j / s_i, -a_j expm1(-h)) of the exact step for a constant x0."""
  lam = levels.log_snr_half
  h = lam[j] - lam[i]
  return levels.noise[j] / levels.noise[i], -levels.signal[j] * np.expm1(-h)


def dpmpp_2m(levels: schedule.Levels) -> sampler.Table:
  """DPM-Solver++(2M) (Lu et al. 2022): two-step, one call per step.

  The first step, and the last if it ends clean, are of first order.
  """
  table, lam = _blank(levels, memory=2), levels.log_snr_half
  for i in range(len(levels)):
    keep, gain = _exponential(levels, i, i + 1)
    more = 0.0
    if i and np.isfinite(lam[i + 1]):
      more = (lam[i + 1] - lam[i]) / (lam[i] - lam[i - 1]) / 2
    table.out[i, [X, X0, X0 + 1]] = keep, gain * (1 + more), -gain * more
  return table


def dpmpp_2s(levels: schedule.Levels) -> sampler.Table:
  """DPM-Solver++(2S): pairs of steps, the second of which starts over.

  Levels 0, 2, 4, ... are of second order, those between are stepping stones.
  A step that is left, and one that ends clean, are of first order.
  """
  table, lam = _blank(levels, memory=2), levels.log_snr_half
  noisy = len(levels) - int(levels.noise[-1] == 0)
  for i in range(len(levels)):
    if i % 2 == 0 or i >= noisy:
      table.out[i, [X, X0]] = _exponential(levels, i, i + 1)
      continue
    keep, gain = _exponential(levels, i - 1, i + 1)
    more = (lam[i + 1] - lam[i - 1]) / (lam[i] - lam[i - 1]) / 2
    table.anchor[i, :2] = 0.0, 1.0
    table.out[i, [ANCHOR, X0, X0 + 1]] = keep, gain * more, gain * (1 - more)
  return table


def _unipc(lam: np.ndarray, h: float) -> tuple[np.ndarray, np.ndarray]:
  """(rho of the predictor, rho of the corrector), B(h) = expm1(-h).

  Args:
    lam: lambda of the outputs used, the newest first.
    h: step.
  """
  order, hh = len(lam), -h
  points = np.append((lam[1:] - lam[0]) / h, 1.0)
  phi, factorial, b = np.expm1(hh) / hh - 1, 1.0, []
  for k in range(1, order + 1):
    b.append(phi * factorial / np.expm1(hh))
    factorial *= k + 1
    phi = phi / hh - 1 / factorial
  powers = np.vander(points, order, increasing=True).T
  b = np.asarray(b)
  # The choice of the paper's code where the system is under-determined.
  half = np.asarray([0.5])
  corrector = half if order == 1 else np.linalg.solve(powers, b)
  if order <= 2:
    return half[: order - 1], corrector
  return np.linalg.solve(powers[:-1, :-1], b[:-1]), corrector


def unipc(levels: schedule.Levels, order: int = 2) -> sampler.Table:
  """UniPC-p, B_2(h), predicting x0 (Zhao et al. 2023): one call per step.

  Each call first corrects the state it was made at, then predicts the next.

  Args:
    levels: path.
    order: p, 1 to 3; lower at both ends.
  """
  n, lam = len(levels), levels.log_snr_half
  table = _blank(levels, memory=order + 1)
  clean = levels.noise[-1] == 0
  orders = [min(order, i + 1, n - i if clean else n) for i in range(n)]
  for i in range(n):
    if i:
      row = table.anchor[i]
      row[:] = 0.0
      _unipc_row(
        levels,
        i - 1,
        j=i,
        order=orders[i - 1],
        row=row,
        base=1,
        first=2,
        corrected=True,
      )
    if np.isfinite(lam[i + 1]):
      row = table.out[i]
      _unipc_row(
        levels,
        i,
        j=i + 1,
        order=orders[i],
        row=row,
        base=ANCHOR,
        first=X0,
        corrected=False,
      )
    else:
      table.out[i, [ANCHOR, X0]] = _exponential(levels, i, i + 1)
  return table


def _unipc_row(levels, i, j, order, row, base, first, corrected):
  """Adds the step from level i to j to a row.

  `base`: column of the start; `first`: column of the newest output, which is
  that of level j if corrected and of level i if not.
  """
  lam = levels.log_snr_half
  seen = lam[i - np.arange(order)]
  predictor, corrector = _unipc(seen, lam[j] - lam[i])
  row[base], gain = _exponential(levels, i, j)
  at = first + corrected  # the output of level i
  row[at] += gain
  rho = corrector if corrected else predictor
  points = list((seen[1:] - seen[0]) / (lam[j] - lam[i]))
  columns = [at + k for k in range(1, order)]
  if corrected:
    points, columns = [*points, 1.0], [*columns, first]
  for weight, point, column in zip(rho, points, columns, strict=True):
    row[column] += gain * weight / point
    row[at] -= gain * weight / point


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
    "dpmpp_2m": dpmpp_2m,
    "dpmpp_2s": dpmpp_2s,
    "unipc": unipc,
  }
  if name not in plain:
    raise ValueError(f"sampler {name!r} is none of {', '.join(NAMES)}")
  return plain[name](levels)
