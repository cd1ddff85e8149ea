"""Distances between sets of features, and scores of samples; float64.

FID  = |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2))
KID  = unbiased MMD^2 with k(x, y) = (x.y / d + 1)^3
IS   = exp(mean_x KL(p(c | x) | mean_x p(c | x)))
precision: share of samples within the ball of some real example up to its
           k-th neighbour; recall: the same with the roles exchanged
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import scipy.linalg
import scipy.spatial
import scipy.special


@dataclasses.dataclass
class Moments:
  """Mean and covariance of features that come in parts."""

  count: int = 0
  mean: np.ndarray | float = 0.0
  scatter: np.ndarray | float = 0.0

  def add(self, x: np.ndarray) -> None:
    """Adds rows [n, d], n >= 0, without losing digits to a large mean."""
    if not len(x):  # a batch of nothing but skipped images: no mean
      return
    # Chan, Golub and LeVeque 1979: the scatter of a union is that of its parts
    # and of their means.
    x = x.astype(np.float64)
    n, total = len(x), self.count + len(x)
    mean = x.mean(0)
    delta, centred = mean - self.mean, x - mean
    between = np.outer(delta, delta) * (self.count * n / total)
    self.scatter = self.scatter + centred.T @ centred + between
    self.mean = self.mean + delta * (n / total)
    self.count = total

  @property
  def covariance(self) -> np.ndarray:
    """[d, d], divided by n - 1; n >= 2, else ValueError."""
    if self.count < 2:
      raise ValueError(f"a covariance of {self.count} rows")
    return self.scatter / (self.count - 1)


def of(x: np.ndarray) -> Moments:
  """Moments of rows [n, d]."""
  moments = Moments()
  moments.add(x)
  return moments


def _root(c: np.ndarray) -> np.ndarray:
  """The symmetric square root of a covariance, whatever its rank."""
  values, vectors = scipy.linalg.eigh(c)
  return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def spread(x: np.ndarray, labels: np.ndarray) -> float:
  """Root of the mean squared distance to the mean of the own class.

  Args:
    x: [n, d] features.
    labels: [n] ints; every class counts by its examples.
  """
  x, total = x.astype(np.float64), 0.0
  for label in np.unique(labels):
    rows = x[labels == label]
    total += ((rows - rows.mean(0)) ** 2).sum()
  return float(np.sqrt(total / len(x)))


def frechet(
  mean: np.ndarray, cov: np.ndarray, mean2: np.ndarray, cov2: np.ndarray
) -> float:
  """FID of two Gaussians (Heusel et al. 2017).

  The trace of the root comes from the eigenvalues of C^(1/2) C' C^(1/2),
  which is symmetric: no complex roots, whatever the rank.

  Args:
    mean: [d] m.
    cov: [d, d] C.
    mean2: [d] m'.
    cov2: [d, d] C'.
  """
  root = _root(cov)
  inner = root @ cov2 @ root
  values = scipy.linalg.eigvalsh((inner + inner.T) / 2)
  overlap = np.sqrt(np.maximum(values, 0)).sum()
  shift = ((mean - mean2) ** 2).sum()
  return float(shift + np.trace(cov) + np.trace(cov2) - 2 * overlap)


def frechet_infinity(
  x: np.ndarray,
  mean: np.ndarray,
  cov: np.ndarray,
  seed: int = 0,
  points: int = 15,
) -> float:
  """FID extrapolated to infinitely many samples (Chong & Forsyth 2020).

  FID is biased by about c / n: it is computed for `points` sizes from a tenth
  of the samples to all, and the line over 1 / n read at 0.

  Args:
    x: [n, d] features of samples.
    mean: [d] of the reference.
    cov: [d, d] of the reference.
    seed: of the parts, which are drawn without replacement.
    points: sizes.

  Raises:
    ValueError: fewer than 3 samples: no line.
  """
  if len(x) < 3:
    raise ValueError(f"an extrapolation from {len(x)} samples")
  rng, n = np.random.default_rng(seed), len(x)
  sizes = np.linspace(max(2, n // 10), n, points).astype(int)
  distances = []
  for size in sizes:
    part = of(x[rng.choice(n, size, replace=False)])
    distances.append(frechet(part.mean, part.covariance, mean, cov))
  return float(np.polyfit(1 / sizes, distances, 1)[1])


def kernel_distance(
  x: np.ndarray,
  y: np.ndarray,
  size: int = 1000,
  subsets: int = 100,
  seed: int = 0,
) -> tuple[float, float]:
  """KID (Binkowski et al. 2018): mean and std over random subsets.

  Args:
    x: [n, d] features.
    y: [m, d] features.
    size: rows of a subset of each, at most n and m.
    subsets: drawn with replacement of subsets, not of rows.
    seed: of the draw.

  Raises:
    ValueError: fewer than 2 rows: no pair.
  """
  if min(len(x), len(y), size) < 2:
    raise ValueError(f"pairs among {len(x)} and {len(y)} rows")
  rng, size = np.random.default_rng(seed), min(size, len(x), len(y))
  values = [
    mmd(*(z[rng.choice(len(z), size, replace=False)] for z in (x, y)))
    for _ in range(subsets)
  ]
  return float(np.mean(values)), float(np.std(values))


def mmd(x: np.ndarray, y: np.ndarray) -> float:
  """Unbiased squared MMD of rows [n, d] and [m, d], with the cubic kernel."""
  x, y = x.astype(np.float64), y.astype(np.float64)
  kernel = lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3
  off = lambda k: (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))
  cross = kernel(x, y).mean()
  return float(off(kernel(x, x)) + off(kernel(y, y)) - 2 * cross)


def inception_score(
  logits: np.ndarray, splits: int = 10
) -> tuple[float, float]:
  """IS (Salimans et al. 2016): mean and std over consecutive parts.

  Args:
    logits: [n, classes].
    splits: parts, as in the original code; of fewer rows one part each.
  """
  logs = scipy.special.log_softmax(logits.astype(np.float64), axis=1)
  scores = []
  for part in np.array_split(logs, min(splits, len(logs))):
    p = np.exp(part)
    scores.append(np.exp((p * (part - np.log(p.mean(0)))).sum(1).mean()))
  return float(np.mean(scores)), float(np.std(scores))


def _blocks(
  x: np.ndarray, y: np.ndarray, size: int = 1024
) -> Iterator[np.ndarray]:
  """Distances of the rows of x to all of y, some rows at a time."""
  for start in range(0, len(x), size):
    yield scipy.spatial.distance.cdist(x[start : start + size], y)


def radii(x: np.ndarray, k: int = 3) -> np.ndarray:
  """[n] distance of each row to its k-th neighbour among the others."""
  return np.concatenate([np.partition(d, k, 1)[:, k] for d in _blocks(x, x)])


def covered(x: np.ndarray, centres: np.ndarray, radius: np.ndarray) -> float:
  """Share of the rows of x within the ball of some centre."""
  inside = [(d <= radius).any(1) for d in _blocks(x, centres)]
  return float(np.concatenate(inside).mean())


def precision_recall(
  real: np.ndarray, fake: np.ndarray, k: int = 3
) -> tuple[float, float]:
  """Improved precision and recall (Kynkäänniemi et al. 2019), in 0 .. 1.

  Args:
    real: [n, d] features.
    fake: [m, d] features of samples.
    k: the ball of an example reaches to its k-th neighbour.

  Raises:
    ValueError: no more than k rows of either.
  """
  if min(len(real), len(fake)) <= k:
    raise ValueError(f"neighbour {k} among {len(real)} and {len(fake)} rows")
  return (
    covered(fake, real, radii(real, k)),
    covered(real, fake, radii(fake, k)),
  )
