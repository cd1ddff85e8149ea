r"""Principal components of long vectors, all at once or as a stream.

    X = [x_1 .. x_n] - mean      K = X X^T = V S V^T      U^T = S^-1/2 V^T X
    deviations = sqrt(S / (n - 1))

The Gram matrix K is n x n, however long the vectors are. A stream is cut into
blocks of one size, whatever the lengths of its batches, and each block is
merged with what is carried (Ross et al. 2008):

    X <- [S V of before; X - mean X; sqrt(n m / (n + m)) (mean before - mean X)]

float64 on the host.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jmim.core import errors

LEAST = 1e-12  # of the greatest variance: below it is rounding


class Principal(NamedTuple):
  """Components of n vectors, greatest first: as many as min(n - 1, d).

  Attributes:
    count: n.
    mean: [d].
    directions: [k, d], orthonormal; 0 where there is no variance left.
    deviations: [k].
  """

  count: int
  mean: np.ndarray
  directions: np.ndarray
  deviations: np.ndarray


def gram(x: np.ndarray) -> Principal:
  """Components of the rows of x [n, d].

  Raises:
    UserError: fewer than two rows.
  """
  if len(x) < 2:
    raise _too_few(len(x))
  x = np.asarray(x, np.float64)
  mean = x.mean(0)
  return _components(x - mean, len(x), mean)


def merged(before: Principal | None, x: np.ndarray, carried: int) -> Principal:
  """Components of everything so far and of a block [m, d].

  Args:
    before: of everything so far; None: there was nothing.
    x: the block.
    carried: components that are kept at most.
  """
  if before is None:
    return _first(gram(x), carried)
  x = np.asarray(x, np.float64)
  n, m = before.count, len(x)
  mean = x.mean(0)
  scale = before.deviations * np.sqrt(n - 1)
  rows = (
    scale[:, None] * before.directions,
    x - mean,
    np.sqrt(n * m / (n + m)) * (before.mean - mean)[None],
  )
  both = before.mean + (mean - before.mean) * m / (n + m)
  return _first(_components(np.concatenate(rows), n + m, both), carried)


def _first(found: Principal, k: int) -> Principal:
  """The first components alone."""
  parts = found.directions[:k], found.deviations[:k]
  return Principal(found.count, found.mean, *parts)


def _components(rows: np.ndarray, n: int, mean: np.ndarray) -> Principal:
  """Of rows whose products sum up to those of n centred vectors."""
  power, v = np.linalg.eigh(rows @ rows.T)
  k = min(n - 1, *rows.shape)
  power, v = np.maximum(power[::-1][:k], 0.0), v[:, ::-1][:, :k]
  real = power > LEAST * power[0]
  root = np.sqrt(np.where(real, power, 1.0))
  directions = np.where(real, v / root, 0.0).T @ rows
  deviations = np.where(real, root, 0.0) / np.sqrt(n - 1)
  return Principal(n, mean, directions, deviations)


def blocks(rows: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
  """A stream cut anew: blocks of `size` rows, the last with the rest.

  A rest too small for components of its own joins the block before it.

  Args:
    rows: arrays [m, ...], of any lengths.
    size: 2 or more; 0: one block of everything.
  """
  held, count, ready = [], 0, None
  for some in rows:
    held.append(some)
    count += len(some)
    while size and count >= size:
      whole = np.concatenate(held)
      if ready is not None:
        yield ready
      ready, held, count = whole[:size], [whole[size:]], count - size
  rest = np.concatenate(held) if held else None
  if ready is None:
    if rest is not None:
      yield rest
  elif rest is None or not len(rest):
    yield ready
  elif len(rest) == 1:
    yield np.concatenate([ready, rest])
  else:
    yield ready
    yield rest


def of_paths(
  rows: Iterable[np.ndarray], *, by_step: bool, block: int, carried: int
) -> tuple[np.ndarray, np.ndarray]:
  """Components of paths [m, steps, ...], of a stream.

  Args:
    rows: of the stream.
    by_step: each step by itself; else paths as one vector.
    block: rows that are held at once; 0: all, which is exact.
    carried: components kept between blocks, and given back.

  Returns:
    float64 directions [k, steps, ...], and deviations [k], or [k, steps] by
    step; all signs as they come.

  Raises:
    UserError: fewer than two paths, or numbers that are not finite.
  """
  found: list[Principal | None] = []
  shape: tuple[int, ...] = ()
  for x in blocks(rows, block):
    _check(x)
    shape = x.shape[1:]
    flat = x.reshape(len(x), shape[0] if by_step else 1, -1)
    found = found or [None] * flat.shape[1]
    keep = carried if block else len(x)
    found = [merged(p, flat[:, s], keep) for s, p in enumerate(found)]
  if not found:
    raise _too_few(0)
  directions = np.stack([p.directions for p in found], 1)
  deviations = np.stack([p.deviations for p in found], 1)
  directions = directions.reshape(len(directions), *shape)
  return directions, deviations if by_step else deviations[:, 0]


def _check(x: np.ndarray) -> None:
  """Raises UserError for NaN and infinite values."""
  broken = int((~np.isfinite(x).reshape(len(x), -1).all(1)).sum())
  if broken:
    raise errors.UserError(
      f"{broken} of {len(x)} samples with NaN or infinite values",
      "finite numbers",
      "choose milder settings of the procedure, or hardware.dtype=f32",
      "procedure",
    )


def _too_few(count: int) -> errors.UserError:
  """For principal components of hardly anything."""
  return errors.UserError(
    f"principal components of {count} samples",
    "two samples or more",
    "fit on more of them",
    "apply.fit_num",
  )
