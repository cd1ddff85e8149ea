"""Mixtures of low-rank Gaussians: points near a union of known subspaces.

    k ~ pi,  x = U_k a,  a ~ N(0, 1_{d_k}),  U_k^T U_l = 0 for k != l

The bases are consecutive columns of the left singular vectors of a Gaussian
matrix, as in the script of Wang et al. 2024 (arXiv 2409.02426).
"""

import functools
from collections.abc import Sequence

import numpy as np

Bases = tuple[np.ndarray, ...]


@functools.cache
def bases(width: int, dims: tuple[int, ...], seed: int = 0) -> Bases:
  """U_k [width, d_k] float64, orthonormal and orthogonal to each other.

  Raises:
    ValueError: more dimensions than `width`.
  """
  if sum(dims) > width:
    raise ValueError(f"{dims} dimensions of {width}")
  rng = np.random.default_rng([seed, width])
  u = np.linalg.svd(rng.normal(size=(width, width)))[0]
  return tuple(np.split(u[:, : sum(dims)], np.cumsum(dims)[:-1], axis=1))


def draw(
  rng: np.random.Generator, bases: Bases, counts: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
  """(points [N, n], components [N]), one after the other; consumes rng.

  Args:
    rng: source of randomness.
    bases: U_k.
    counts: points of each component.
  """
  parts = [
    rng.normal(size=(n, u.shape[1])) @ u.T
    for u, n in zip(bases, counts, strict=True)
  ]
  labels = np.repeat(np.arange(len(bases)), counts)
  return np.concatenate(parts), labels
