"""How alike places of two images are, and which flow joins them.

DiffMatch (KU-CVLAB/DiffMatch@045ea83). A flow [b, h, w, 2] holds (x, y) in
cells of the grid, and leads from a target to its source:

    target(p) ~ source(p + flow(p))

Everything is float32. Letters: b batch, h w the grid, c channels, k = 2 r + 1.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn import resize
from jmim.nn import warps

Array = jax.Array


def unit(features: Array, eps: float = 1e-5) -> Array:
  """[..., c] float32 of length 1: f / (|f| + eps)."""
  f = features.astype(jnp.float32)
  return f / (jnp.linalg.norm(f, axis=-1, keepdims=True) + eps)


def correlation(source: Sequence[Array], target: Sequence[Array]) -> Array:
  """Cosines [b, h, w, h, w] of source cells with target cells.

  Args:
    source: levels of features, [b, h, w, c] each, on one grid.
    target: the same of the other image.

  Returns:
    mean over levels; rows and columns of the source first.
  """
  each = [
    jnp.einsum("byxc,bhwc->byxhw", unit(s), unit(t), precision="highest")
    for s, t in zip(source, target, strict=True)
  ]
  return sum(each) / len(each)


def likeliest(cosines: Array) -> Array:
  """Flow [b, h, w, 2] to the source cell that is most alike.

  Of several the first in raster order. No gradient.

  Args:
    cosines: as of `correlation`.
  """
  b, sh, sw, h, w = cosines.shape
  best = cosines.reshape(b, sh * sw, h, w).argmax(1)
  there = jnp.stack([best % sw, best // sw], axis=-1)
  return there.astype(jnp.float32) - cells((h, w))


def cells(sides: tuple[int, int]) -> np.ndarray:
  """[h, w, 2] float32: (x, y) of each cell."""
  y, x = np.mgrid[: sides[0], : sides[1]]
  return np.stack([x, y], axis=-1).astype(np.float32)


def offsets(radius: int) -> np.ndarray:
  """[k k, 2] float32 steps (x, y): the first k have one x, y grows in them."""
  line = np.arange(-radius, radius + 1)
  x, y = np.meshgrid(line, line, indexing="ij")
  return np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)


def _around(flow: Array, steps: Array) -> Array:
  """Places (row, column) that a flow leads to, and beside them.

  Args:
    flow: [b, h, w, 2].
    steps: (x, y) [..., 2], added in each cell.

  Returns:
    [b, h, w, ..., 2].
  """
  at = flow.astype(jnp.float32) + cells(flow.shape[1:3])
  at = at.reshape(*at.shape[:3], *(1,) * (steps.ndim - 1), 2)
  return (at + steps)[..., ::-1]


def local_cost(cosines: Array, flow: Array, radius: int) -> Array:
  """Cosines [b, h, w, k k] of a target cell with those near its source cell.

  Bilinear between cells, 0 outside.

  Args:
    cosines: as of `correlation`.
    flow: [b, h, w, 2].
    radius: r, in cells.
  """
  maps = jnp.moveaxis(cosines, (1, 2), (3, 4))[..., None]
  steps = jnp.asarray(offsets(radius))
  return warps.bilinear(maps, _around(flow, steps))[..., 0]


def sampled_cost(
  source: Sequence[Array], target: Sequence[Array], flow: Array, radius: int
) -> Array:
  """As `local_cost`, without the cosines of all cells with all.

  Features of the source are read between cells, and are made of length 1 there;
  `local_cost` reads cosines between cells. Where a flow and its cells are whole
  the two are the same.

  Args:
    source: levels of features, [b, h, w, c] each, on one grid.
    target: the same of the other image.
    flow: [b, h, w, 2].
    radius: r, in cells.
  """
  levels = [
    (s.astype(jnp.float32), unit(t))
    for s, t in zip(source, target, strict=True)
  ]

  def one(step):  # of all steps at once the features would not fit
    at = _around(flow, step)
    each = [(unit(warps.bilinear(s, at)) * t).sum(-1) for s, t in levels]
    return sum(each) / len(each)

  costs = jax.lax.map(one, jnp.asarray(offsets(radius)))
  return jnp.moveaxis(costs, 0, -1)


def resized(flow: Array, sides: tuple[int, int]) -> Array:
  """A flow in shares of the sides on another grid, corners on corners."""
  return resize.images(flow.astype(jnp.float32), sides, "corners")


def in_pixels(flow: Array, sides: tuple[int, int]) -> Array:
  """[b, *sides, 2] in pixels, of a flow in shares of the sides on any grid."""
  return resized(flow, sides) * jnp.array(sides[::-1])


def in_shares(flow: Array, grid: tuple[int, int]) -> Array:
  """[b, *grid, 2] in shares of the sides, of a flow [b, h, w, 2] in pixels."""
  return resized(flow / jnp.array(flow.shape[2:0:-1]), grid)


def masked_error(flow: Array, truth: Array, known: Array) -> Array:
  """[]: sum known |truth - flow|^2 / sum known, over the whole batch.

  Args:
    flow: [b, h, w, 2].
    truth: [b, h, w, 2].
    known: [b, h, w]; of nothing known the error is 0.
  """
  known = known.astype(jnp.float32)
  total = known.sum()
  error = ((truth - flow) ** 2).sum(-1) * known
  return error.sum() / jnp.where(total > 0, total, 1.0)
