"""Values of grids at normalised coordinates: torch's `grid_sample`.

Bilinear, zeros outside. Coordinates are (x, y), x along columns, -1 to 1 from
edge to edge: from the first pixel's centre to the last one's where corners are
aligned, else from the outer border to the other. Places are those of `warps`:
(row, column) in pixels.
"""

import jax
import jax.numpy as jnp

from jmim.nn import warps

Array = jax.Array


def sample(images: Array, coordinates: Array, aligned: bool) -> Array:
  """[..., *grid, c]: images [..., h, w, c] at coordinates [..., *grid, 2].

  Gradients reach images and coordinates.

  Args:
    images: float, of any leading sides; a line is an image of one column.
    coordinates: (x, y) float32, of the same leading sides, and then any.
    aligned: whether -1 and 1 are centres of pixels (`align_corners`).
  """
  at = places(coordinates, images.shape[-3:-1], aligned)
  return warps.bilinear(images, at)


def places(coordinates: Array, sides: tuple[int, int], aligned: bool) -> Array:
  """(row, column) [pixels] of normalised (x, y), both [..., 2].

  Args:
    coordinates: float32; -1 to 1 is inside.
    sides: (h, w) of the grid.
    aligned: see `sample`.
  """
  shares = (coordinates[..., ::-1] + 1) / 2
  sides = jnp.asarray(sides)
  return shares * (sides - 1) if aligned else shares * sides - 0.5
