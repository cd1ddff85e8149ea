"""Samplers that integrate in lambda = log(a / s) and remember outputs of x0.

DPM-Solver++ and UniPC solve the probability-flow ODE written with x0, whose
linear part is exact: with h = lambda_t - lambda_s and x0 constant in between

    x_t = s_t / s_s x_s - a_t (e^{-h} - 1) x0     (`coefficients.exponential`)

and differ in how they extrapolate x0 from the outputs that they have seen.
Tables as in `jmim.diffusion.solvers`.
"""

import numpy as np

from jmim.diffusion import coefficients
from jmim.diffusion import sampler
from jmim.diffusion import schedule

X, ANCHOR, _, X0 = coefficients.COLUMNS


def dpmpp_2m(levels: schedule.Levels) -> sampler.Table:
  """DPM-Solver++(2M) (Lu et al. 2022): two-step, one call per step.

  The first step, and the last if it ends clean, are of first order.
  """
  table, lam = coefficients.blank(levels, memory=2), levels.log_snr_half
  for i in range(len(levels)):
    keep, gain = coefficients.exponential(levels, i, i + 1)
    # Algorithm 2: D = (1 + 1 / 2r) x0_i - 1 / 2r x0_{i-1}, r = h_i / h_{i+1}.
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
  table, lam = coefficients.blank(levels, memory=2), levels.log_snr_half
  noisy = len(levels) - int(levels.noise[-1] == 0)
  for i in range(len(levels)):
    if i % 2 == 0 or i >= noisy:
      table.out[i, [X, X0]] = coefficients.exponential(levels, i, i + 1)
      continue
    # Algorithm 1: from the last state (the anchor) over both steps with
    # D = (1 - 1 / 2r) x0_{i-1} + 1 / 2r x0_i, r = h_i / (h_i + h_{i+1}).
    keep, gain = coefficients.exponential(levels, i - 1, i + 1)
    more = (lam[i + 1] - lam[i - 1]) / (lam[i] - lam[i - 1]) / 2
    table.anchor[i, :2] = 0.0, 1.0
    table.out[i, [ANCHOR, X0, X0 + 1]] = keep, gain * more, gain * (1 - more)
  return table


def dpmpp_3s(levels: schedule.Levels) -> sampler.Table:
  """DPM-Solver++ as "fast" (Lu et al. 2022): steps of three levels each.

  Every step starts over, of order 3, with its inner levels as stepping stones;
  at the end are one of two levels, one of one, or both, of their orders. A
  step that ends clean is of first order, and one more.
  """
  table = coefficients.blank(levels, memory=3)
  clean = int(levels.noise[-1] == 0)
  whole, rest = divmod(len(levels) - clean, 3)
  orders = [3] * whole + [rest] * (rest > 0)
  if whole and not rest:
    orders[-1:] = [2, 1]
  first = 0
  for order in orders + [1] * clean:
    _single_step(table, levels, first=first, order=order)
    first += order
  return table


def _single_step(table, levels, first, order):
  """Rows of one step over so many levels."""
  lam, i = levels.log_snr_half, first
  table.out[i, [X, X0]] = coefficients.exponential(levels, i, i + 1)
  for k in range(1, order):
    # Lu et al. 2022, algorithm 2 of "DPM-Solver" in terms of x0: from the state
    # at i (the anchor), with the slope between the first output and the last.
    j = i + k + 1
    keep, gain = coefficients.exponential(levels, i, j)
    h, seen = lam[j] - lam[i], lam[i + k] - lam[i]
    more = gain / 2
    if order == 3:
      more = levels.signal[j] * (np.expm1(-h) / h + 1)
    more *= h / seen
    table.anchor[i + k, :2] = 0.0, 1.0
    columns = [ANCHOR, X0, X0 + k]
    table.out[i + k, columns] = keep, more, gain - more


def _unipc(lam: np.ndarray, h: float) -> tuple[np.ndarray, np.ndarray]:
  """(rho of the predictor, rho of the corrector), B(h) = expm1(-h).

  rho solves R_p rho = phi / B (equation 5), row k of R_p the points r_m^(k-1)
  and phi_k the remainder of the exponential series.

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
  table = coefficients.blank(levels, memory=order + 1)
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
      table.out[i, [ANCHOR, X0]] = coefficients.exponential(levels, i, i + 1)
  return table


def _unipc_row(levels, i, j, order, row, base, first, corrected):
  """Adds the step from level i to j to a row.

  `base`: column of the start; `first`: column of the newest output, which is
  that of level j if corrected and of level i if not.
  """
  lam = levels.log_snr_half
  seen = lam[i - np.arange(order)]
  predictor, corrector = _unipc(seen, lam[j] - lam[i])
  row[base], gain = coefficients.exponential(levels, i, j)
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
