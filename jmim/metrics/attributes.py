"""How well scores tell attributes: average precision, correlation, error.

    AP = sum_i (R_i - R_i-1) P_i      over the thresholds i from high to low
    r  = sum (a - mean a)(b - mean b) / sqrt(sum (a - mean a)^2 sum (b - ...)^2)

float64.
"""

import numpy as np


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
  """Percent; examples of one score are found together. NaN: none is true.

  Args:
    scores: [m], the higher the likelier.
    truth: bool [m].
  """
  order = np.argsort(-scores, kind="stable")
  ranked, found = scores[order], np.cumsum(truth[order])
  if not found[-1]:
    return float("nan")
  last = np.append(ranked[1:] != ranked[:-1], True)  # of those with its score
  precision = found[last] / (np.flatnonzero(last) + 1)
  steps = np.diff(found[last], prepend=0) / found[-1]
  return 100.0 * float((steps * precision).sum())


def pearson(a: np.ndarray, b: np.ndarray) -> float:
  """Correlation of two rows of numbers [m], -1 .. 1; 0 if one is constant."""
  if not (np.ptp(a) and np.ptp(b)):
    return 0.0  # what a rounded mean leaves of equal numbers says nothing
  a, b = (x.astype(np.float64) - x.mean(dtype=np.float64) for x in (a, b))
  size = np.sqrt((a**2).sum() * (b**2).sum())
  return float((a * b).sum() / size) if size else 0.0


def squared_error(a: np.ndarray, b: np.ndarray) -> float:
  """Mean of (a - b)^2 of two arrays of one shape."""
  return float(((a.astype(np.float64) - b) ** 2).mean())
