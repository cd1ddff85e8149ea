r"""Ellipses in a square picture: which places they hold, and as numbers.

    d(p) = (p - c)^T R diag(1/a^2, 1/b^2) R^T (p - c)        inside: d <= 1

An ellipse is five numbers: the middle (x, y) and the half axes a, b in shares
of the side, and the angle of the first from the x axis towards the y axis,
which points down [radians] (`data.procedural.described`). Half axes of 0: there
is none.
"""

import jax
import jax.numpy as jnp

Array = jax.Array
# Numbers of an ellipse that waves are made of, see `numbers`.
COORDINATES = 6


def distances(ellipses: Array, side: int) -> Array:
  """d of the middle of every cell of a grid; infinite where there is none.

  Args:
    ellipses: [..., 5].
    side: cells of the grid's side.

  Returns:
    [..., side, side] float32.
  """
  x, y, a, b, angle = (ellipses[..., i, None, None] for i in range(5))
  places = (jnp.arange(side) + 0.5) / side
  right, down = places - x, places[:, None] - y
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  along, across = cos * right + sin * down, cos * down - sin * right
  there = (a > 0) & (b > 0)
  positive = lambda r: jnp.where(there, r, 1.0)
  far = (along / positive(a)) ** 2 + (across / positive(b)) ** 2
  return jnp.where(there, far, jnp.inf)


def inside(ellipses: Array, side: int) -> Array:
  """bool [..., side, side]: cells whose middle lies in the ellipse."""
  return distances(ellipses, side) <= 1


def coarser(masks: Array, factor: int) -> Array:
  """Masks on a grid whose cells hold `factor` x `factor` of the finer one's.

  A cell belongs to a mask if any that it holds does: what is somewhere on the
  finest grid is somewhere on all of them.

  Args:
    masks: bool [..., h, w]; both sides divide by the factor.
    factor: 1 or more.
  """
  *first, h, w = masks.shape
  cells = masks.reshape(*first, h // factor, factor, w // factor, factor)
  return cells.any((-3, -1))


def there(ellipses: Array) -> Array:
  """bool [...]: which of [..., 5] there are."""
  return (ellipses[..., 2] > 0) & (ellipses[..., 3] > 0)


def extent(ellipses: Array) -> Array:
  """[..., 2]: half the width and height of the box around each ellipse."""
  a, b, angle = (ellipses[..., i] for i in (2, 3, 4))
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  return jnp.stack(
    [jnp.hypot(a * cos, b * sin), jnp.hypot(a * sin, b * cos)], -1
  )


def moved(ellipses: Array, which: Array, by: Array) -> Array:
  """[b, k, 5] ellipses, of each row one shifted.

  Args:
    ellipses: [b, k, 5].
    which: int [b], the one that moves.
    by: [b, 2] (x, y), in shares of the side.
  """
  chosen = jnp.arange(ellipses.shape[1]) == which[:, None]
  shift = jnp.where(chosen[..., None], by[:, None], 0.0)
  return ellipses.at[..., :2].add(shift)


def numbers(ellipses: Array) -> Array:
  """[..., 6]: x, y, a, b, and cosine and sine of twice the angle.

  The last two are the same after half a turn, as the ellipse is.
  """
  twice = 2 * ellipses[..., 4:]
  return jnp.concatenate(
    [ellipses[..., :4], jnp.cos(twice), jnp.sin(twice)], axis=-1
  )


def waves(x: Array, count: int, base: float = 100.0) -> Array:
  """Fourier features of numbers, as those of boxes in GLIGEN (Li et al. 2023).

  sin(w_i x) then cos(w_i x) of all numbers, for each i = 0 .. count - 1, with
  w_i = base^(i / count).

  Args:
    x: [..., n].
    count: frequencies.
    base: just above the greatest of them.

  Returns:
    [..., 2 count n] float32.
  """
  w = jnp.float32(base) ** (jnp.arange(count) / count)
  angles = w[:, None] * x[..., None, :].astype(jnp.float32)
  both = jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-2)
  return both.reshape(*x.shape[:-1], -1)
