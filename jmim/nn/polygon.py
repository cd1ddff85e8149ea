"""Polygons as masks of pixels, whose corners are data."""

import jax
import jax.numpy as jnp

Array = jax.Array


def inside(corners: Array, side: int) -> Array:
  """bool [b, side, side]: pixels whose centre lies in a polygon (even-odd).

  Args:
    corners: [b, n, 2] (x, y) in their order, the centre of pixel (row, column)
      at (column, row); they may lie outside of the picture.
    side: of the picture.
  """
  at = jnp.arange(side, dtype=jnp.float32)
  y, x = at[:, None], at[None]
  crossings = jnp.zeros((len(corners), side, side), bool)
  after = jnp.roll(corners, -1, axis=1)
  for i in range(corners.shape[1]):
    (ax, ay), (bx, by) = (
      jnp.moveaxis(c[:, i], -1, 0)[:, :, None, None] for c in (corners, after)
    )
    spans = (ay > y) != (by > y)
    run = jnp.where(ay == by, 1.0, by - ay)
    crossings ^= spans & (x < ax + (y - ay) / run * (bx - ax))
  return crossings
