"""A field in space as planes and lines (TensoRF, Chen et al. 2022).

    f_k(p) = plane_k(two coordinates of p) * line_k(the third),  k = 0, 1, 2

in a cube of -1 .. 1, zero outside. Letters: b batch, R resolution, c channels.
"""

import jax
import jax.numpy as jnp

from jmim.nn import grid_sample

Array = jax.Array
# Coordinates along columns and rows of each plane, and along its line.
PLANES, LINES = ((0, 1), (2, 0), (1, 2)), (2, 1, 0)


def values(planes: Array, lines: Array, points: Array) -> Array:
  """[b, 3, *points, c]: plane times line of each kind; no gradient of points.

  Args:
    planes: [b, 3, R, R, c] float32.
    lines: [b, 3, R, 1, c] float32.
    points: [b, *points, 3], x, y, z in -1 .. 1 within the cube.
  """
  points = jax.lax.stop_gradient(points)
  x = jnp.moveaxis(points, -1, 0)
  flat = jnp.stack([jnp.stack([x[i], x[j]], -1) for i, j in PLANES], axis=1)
  along = jnp.stack([x[i] for i in LINES], axis=1)
  across = grid_sample.sample(planes, flat, aligned=False)
  return across * _on_lines(lines[..., 0, :], along)


def _on_lines(lines: Array, along: Array) -> Array:
  """[b, 3, *points, c]: as `grid_sample.sample` of one column, by a product.

  A gather would fetch a column of zeros beside, and scatter to it backwards.
  """
  n = lines.shape[2]
  both = jnp.stack([jnp.zeros_like(along), along], axis=-1)
  place = grid_sample.places(both, (n, 1), aligned=False)[..., 0]
  near = jax.nn.relu(1 - jnp.abs(place[..., None] - jnp.arange(n)))
  return jnp.einsum("bk...n,bknc->bk...c", near, lines, precision="highest")


def within(points: Array, low: Array, high: Array) -> Array:
  """Points [..., 3] of a box as those of the cube -1 .. 1."""
  low, high = jnp.asarray(low), jnp.asarray(high)
  return 2 * (points - low) / (high - low) - 1
