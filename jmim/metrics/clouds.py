"""Distances between point clouds, and between sets of them; float64.

CD  = mean_x min_y |x - y|^2 + mean_y min_x |x - y|^2
EMD = min over one-to-one maps f of mean_x |x - f(x)|, found exactly

Of samples S and references R (Yang et al. 2019, PointFlow; Achlioptas 2018):

1-NNA  accuracy of the nearest other cloud of S and R as a classifier of which
       set a cloud is from; 0.5: they cannot be told apart
COV    share of R that is nearest to some sample
MMD    mean over R of the distance to its nearest sample
"""

import numpy as np
import scipy.optimize
import scipy.spatial


def chamfer(a: np.ndarray, b: np.ndarray) -> float:
  """CD of clouds [n, d] and [m, d]."""
  a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
  to_b, _ = scipy.spatial.cKDTree(b).query(a)
  to_a, _ = scipy.spatial.cKDTree(a).query(b)
  return float((to_b**2).mean() + (to_a**2).mean())


def earth_mover(a: np.ndarray, b: np.ndarray) -> float:
  """EMD of two clouds [n, d]; n^3 in the worst case, so for n of hundreds.

  Raises:
    ValueError: clouds of different numbers of points.
  """
  if len(a) != len(b):
    raise ValueError(f"clouds of {len(a)} and {len(b)} points: no one-to-one")
  cost = scipy.spatial.distance.cdist(a, b)
  rows, columns = scipy.optimize.linear_sum_assignment(cost)
  return float(cost[rows, columns].mean())


DISTANCES = {"cd": chamfer, "emd": earth_mover}


def distances(a: np.ndarray, b: np.ndarray, name: str) -> np.ndarray:
  """[n, m] distances between the clouds [n, p, d] and [m, q, d].

  Args:
    a: clouds.
    b: clouds; the same array: each pair is computed once.
    name: one of DISTANCES.
  """
  measure, found = DISTANCES[name], np.zeros((len(a), len(b)))
  for i in range(len(a)):
    for j in range(i if a is b else 0, len(b)):
      found[i, j] = measure(a[i], b[j])
      if a is b:
        found[j, i] = found[i, j]
  return found


def one_nn(
  within_a: np.ndarray, between: np.ndarray, within_b: np.ndarray
) -> float:
  """1-NNA of two sets from their distances.

  Args:
    within_a: [n, n] of the first to itself.
    between: [n, m] of the first to the second.
    within_b: [m, m] of the second to itself.
  """
  n, m = between.shape
  whole = np.block([[within_a, between], [between.T, within_b]])
  whole = whole + np.diag(np.full(n + m, np.inf))
  second = np.arange(n + m) >= n
  return float((second[whole.argmin(1)] == second).mean())


def coverage(to_references: np.ndarray) -> float:
  """COV from the distances [n, m] of samples to references."""
  nearest = to_references.argmin(1)
  return len(np.unique(nearest)) / to_references.shape[1]


def matching(to_references: np.ndarray) -> float:
  """MMD from the distances [n, m] of samples to references."""
  return float(to_references.min(0).mean())


def compare(
  samples: np.ndarray, references: np.ndarray, name: str
) -> dict[str, float]:
  """1-NNA, COV and MMD of sets of clouds [n, p, d] and [m, p, d].

  Args:
    samples: made.
    references: real.
    name: of the distance, one of DISTANCES.

  Returns:
    {"1nna", "cov", "mmd"}, the first two in 0 .. 1.
  """
  within = [distances(x, x, name) for x in (samples, references)]
  between = distances(samples, references, name)
  return {
    "1nna": one_nn(within[0], between, within[1]),
    "cov": coverage(between),
    "mmd": matching(between),
  }
