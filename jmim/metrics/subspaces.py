"""Subspaces of points: PCA, K-subspaces, and how well they are recovered.

A basis is [n, d] with orthonormal columns; what counts is its projector U U^T.
Nothing is centred: subspaces go through 0.
"""

from collections.abc import Sequence

import numpy as np
import scipy.optimize

Bases = Sequence[np.ndarray]


def pca(x: np.ndarray, d: int) -> np.ndarray:
  """[n, d] basis of the greatest sum_i |V^T x_i|^2 over points x [N, n].

  Where the points span fewer dimensions the rest is arbitrary.
  """
  return np.linalg.svd(np.asarray(x, np.float64))[2][:d].T


def lengths(bases: Bases, x: np.ndarray) -> np.ndarray:
  """|U_k^T x_i|^2: [N, K]."""
  return np.stack([((x @ u) ** 2).sum(-1) for u in bases], -1)


def assign(bases: Bases, x: np.ndarray) -> np.ndarray:
  """[N] int32: the component onto which each point projects longest."""
  return lengths(bases, x).argmax(-1).astype(np.int32)


def objective(bases: Bases, x: np.ndarray) -> float:
  """sum_i max_k |U_k^T x_i|^2, what K-subspaces maximises."""
  return float(lengths(bases, x).max(-1).sum())


def random_bases(
  rng: np.random.Generator, n: int, dims: Sequence[int]
) -> list[np.ndarray]:
  """Orthonormal [n, d_k], orthogonal to each other where they fit into n."""
  if sum(dims) > n:
    return [np.linalg.qr(rng.normal(size=(n, d)))[0] for d in dims]
  u = np.linalg.svd(rng.normal(size=(n, n)))[0]
  return np.split(u[:, : sum(dims)], np.cumsum(dims)[:-1], axis=1)


def k_subspaces(
  rng: np.random.Generator,
  x: np.ndarray,
  dims: Sequence[int],
  restarts: int = 10,
  steps: int = 50,
) -> list[np.ndarray]:
  """Bases [n, d_k] of a large `objective`: assign, PCA of each, and again.

  Args:
    rng: of the starts.
    x: [N, n] points.
    dims: d_k.
    restarts: of which the best is returned.
    steps: at most, of each.
  """
  found = []
  for _ in range(restarts):
    bases = random_bases(rng, x.shape[1], dims)
    before = None
    for _ in range(steps):
      own = assign(bases, x)
      if before is not None and (own == before).all():
        break
      before = own
      bases = [
        pca(x[own == k], u.shape[1]) if (own == k).any() else u
        for k, u in enumerate(bases)
      ]
    found.append(bases)
  return max(found, key=lambda bases: objective(bases, x))


def distance(u: np.ndarray, v: np.ndarray) -> float:
  """|U U^T - V V^T|_F: 0 to sqrt(d_u + d_v)."""
  return float(np.linalg.norm(u @ u.T - v @ v.T))


def recovery(bases: Bases, truth: Bases) -> np.ndarray:
  """[K] distances to the true bases, under the best permutation."""
  cost = np.array([[distance(u, v) for u in bases] for v in truth])
  _, chosen = scipy.optimize.linear_sum_assignment(cost)
  return cost[np.arange(len(cost)), chosen]
