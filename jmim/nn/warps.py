"""Pictures seen from elsewhere: values between pixels, and homographies.

Places are (row, column), pixel centres at 0, 1, ... Letters: b batch, h w grid.
"""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


def bilinear(images: Array, places: Array, fill: float = 0.0) -> Array:
  """[..., *grid, c]: values of images [..., h, w, c] at [..., *grid, 2].

  Float, with gradients to both: in the places, that of the cell they are in.

  Args:
    images: float, of any leading sides.
    places: of the same leading sides, and then any; may lie outside.
    fill: what is there.
  """
  whole = jnp.floor(places)
  share = places - whole
  # Far outside is as outside as just outside, and fits an integer.
  low = jnp.clip(whole, -2, jnp.asarray(images.shape[-3:-1]))
  low = low.astype(jnp.int32)
  total = 0.0
  for i in (0, 1):
    for j in (0, 1):
      at = low + jnp.array([i, j])
      weight = jnp.where(jnp.array([i, j]) == 1, share, 1 - share).prod(-1)
      total = total + weight[..., None] * _picked(images, at, fill)
  return total


def nearest(maps: Array, places: Array, fill: int) -> Array:
  """[b, H, W]: maps [b, h, w] at the nearest pixels; see `bilinear`."""
  at = jnp.round(places).astype(jnp.int32)
  return _picked(maps[..., None], at, fill)[..., 0]


def _axes(x: Array) -> tuple[Array, Array]:
  return x[..., 0], x[..., 1]


def _picked(images: Array, at: Array, fill: float) -> Array:
  """Images [..., h, w, c] at whole places [..., *grid, 2]."""
  sides = jnp.asarray(images.shape[-3:-1])
  there = ((at >= 0) & (at < sides)).all(-1, keepdims=True)
  inside = jnp.clip(at, 0, sides - 1)
  take = lambda image, at: image[_axes(at)]
  for _ in images.shape[:-3]:
    take = jax.vmap(take)
  return jnp.where(there, take(images, inside), fill)


def homography(corners: Array) -> Array:
  """[b, 3, 3] of which H (row, column, 1) maps the unit square to a quad.

  (Heckbert 1989, in closed form.)

  Args:
    corners: [b, 4, 2] of a convex quad: what (0, 0), (0, 1), (1, 0) and (1, 1)
      become.
  """
  p0, p3, p1, p2 = jnp.moveaxis(corners, 1, 0)  # around the square
  cross = lambda a, b: a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
  d1, d2, both = p1 - p2, p3 - p2, p0 - p1 + p2 - p3
  g, h = (cross(both, d2) / cross(d1, d2), cross(d1, both) / cross(d1, d2))
  first = p1 - p0 + g[:, None] * p1
  second = p3 - p0 + h[:, None] * p3
  upper = jnp.stack([first, second, p0], axis=2)  # [b, 2, 3]
  last = jnp.stack([g, h, jnp.ones_like(g)], axis=1)
  return jnp.concatenate([upper, last[:, None]], axis=1)


def seen(homographies: Array, sides: tuple[int, int]) -> Array:
  """[b, h, w, 2]: places [pixels] that the pixels of a new picture show.

  Args:
    homographies: [b, 3, 3], in shares of the sides.
    sides: (h, w) of both.
  """
  h, w = sides
  y, x = (np.mgrid[:h, :w] + 0.5) / np.array([h, w])[:, None, None]
  whole = np.stack([y, x, np.ones((h, w))], -1).astype(np.float32)
  at = jnp.einsum("bij,hwj->bhwi", homographies, whole, precision="highest")
  return at[..., :2] / at[..., 2:] * jnp.array([h, w]) - 0.5
