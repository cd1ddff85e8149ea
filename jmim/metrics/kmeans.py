"""k-means by Lloyd's steps (1982).

    a_i = argmin_k |x_i - c_k|^2            then c_k = mean of its x_i

It starts at k of the vectors. A centroid that no vector is nearest to starts
again beside the one whose vectors are farthest from it, all together (faiss:
the one that has most; of equal vectors there is nothing to be gained).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn import vq

CHUNK = 4096  # vectors whose distances are held at once
BESIDE = 1e-3  # of the deviation: a start beside another centroid


class Clusters(NamedTuple):
  """What was found.

  Attributes:
    codes: [k, d] float32 centroids.
    errors: [iterations + 1] mean squared distance of a vector to its centroid,
      before each step and after the last.
    counts: [k] vectors of each, after the last.
  """

  codes: np.ndarray
  errors: np.ndarray
  counts: np.ndarray


@jax.jit
def _chunk(x, valid, codes):
  """Counts [k], sums [k, d], squared distances [k] of vectors [n, d]."""
  ids = vq.nearest(x, codes)
  k = len(codes)
  ids = jnp.where(valid, ids, k)
  count, total = vq.statistics(x, ids, k + 1)
  gap = ((x - codes[ids % k]) ** 2).sum(-1)
  gap = jnp.zeros(k + 1).at[ids].add(gap)
  return count[:k], total[:k], gap[:k]


def _assigned(x: np.ndarray, codes: np.ndarray):
  """`_chunk` of all vectors."""
  k = len(codes)
  count, total, gap = np.zeros(k), np.zeros(codes.shape), np.zeros(k)
  for start in range(0, len(x), CHUNK):
    part = x[start : start + CHUNK]
    size = min(CHUNK, len(x))
    valid = np.arange(size) < len(part)
    part = np.pad(part, ((0, size - len(part)), (0, 0)))
    found = jax.device_get(_chunk(part, valid, codes))
    count, total, gap = (
      a + b for a, b in zip((count, total, gap), found, strict=True)
    )
  return count, total, gap


def _split(codes, unused, gap, step):
  """Centroids [k, d] without vectors, set beside those that are worst.

  Args:
    codes: changed in place.
    unused: [k] bool.
    gap: [k] squared distances of the vectors of each.
    step: [d] from one to the other, half of it.
  """
  gap = gap.copy()
  for empty in np.flatnonzero(unused):
    worst = gap.argmax()
    codes[empty], codes[worst] = codes[worst] + step, codes[worst] - step
    gap[empty] = gap[worst] = gap[worst] / 2


def lloyd(
  x: np.ndarray, k: int, iterations: int = 20, seed: int = 0
) -> Clusters:
  """Centroids of vectors.

  Args:
    x: [n, d] float32.
    k: centroids, at most n.
    iterations: steps; 0: the k vectors it would start at.
    seed: of these.

  Raises:
    ValueError: fewer vectors than centroids.
  """
  if len(x) < k:
    raise ValueError(f"{len(x)} vectors for {k} centroids")
  x = np.asarray(x, np.float32)
  start = np.random.default_rng(seed).choice(len(x), k, replace=False)
  codes, step = x[start], BESIDE * x.std(0)
  count, total, gap = _assigned(x, codes)
  errors = [gap.sum() / len(x)]
  for _ in range(iterations):
    used = count > 0
    codes[used] = total[used] / count[used, None]
    _split(codes, ~used, gap, step)
    count, total, gap = _assigned(x, codes)
    errors.append(gap.sum() / len(x))
  return Clusters(codes, np.asarray(errors), count.astype(int))
