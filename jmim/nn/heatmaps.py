"""Maps of how likely a joint is where: made, drawn from, and read.

Of a map [side, side] cell y side + x is at (x, y), in pixels. Candidates are
cells, and lie at 2 (v - side / 2) / side in [-1, 1) along each axis.
Letters: b batch, j joints, m modes, k candidates.
"""

import jax
import jax.numpy as jnp
import numpy as np

FLOOR = 0.1  # share of the peak below which a cell does not widen a map


def gaussians(modes: jax.Array, side: int, sigma: float) -> jax.Array:
  """Sum of the modes of each joint: [b, j, side, side] float32.

  Args:
    modes: [b, j, m, 3] places (x, y) in pixels and heights; 0: there is none.
    side: of a map.
    sigma: of each mode, in pixels.
  """
  x, y, height = jnp.moveaxis(modes.astype(jnp.float32), -1, 0)
  at = jnp.arange(side)
  wave = lambda v: jnp.exp(-0.5 * ((at - v[..., None]) / sigma) ** 2)
  return jnp.einsum("bjm,bjmy,bjmx->bjyx", height, wave(y), wave(x))


def best(maps: jax.Array) -> jax.Array:
  """[b, j] cells of the greatest value of maps [b, j, h, w]."""
  return maps.reshape(*maps.shape[:2], -1).argmax(-1)


def pick(maps: jax.Array, uniform: jax.Array) -> jax.Array:
  """[b, j, k] cells drawn from max(map, 0), with replacement.

  By inverse of the cumulated map: one number per candidate, where Gumbel's
  trick needs one for each cell too. Of a map without a positive cell every
  candidate is the best.

  Args:
    maps: [b, j, h, w].
    uniform: [b, j, k] in [0, 1).
  """
  mass = jnp.maximum(maps.astype(jnp.float32), 0)
  mass = mass.reshape(*maps.shape[:2], -1)
  upto = jnp.cumsum(mass, -1)
  total = upto[..., -1:]
  # Rounded up it would be the whole, which no cell lies beyond.
  asked = jnp.minimum(uniform * total, jnp.nextafter(total, 0.0))
  find = lambda row, of: jnp.searchsorted(row, of, side="right")
  cells = jax.vmap(jax.vmap(find))(upto, asked)
  return jnp.where(total > 0, cells, best(maps)[..., None])


def values(maps: jax.Array, cells: jax.Array) -> jax.Array:
  """[b, j, k] what maps [b, j, h, w] are at cells [b, j, k]."""
  flat = maps.reshape(*maps.shape[:2], -1)
  return jnp.take_along_axis(flat, cells, axis=-1).astype(jnp.float32)


def pixels(cells: jax.Array, side: int) -> jax.Array:
  """[..., 2] float32 (x, y) of cells [...]."""
  return jnp.stack([cells % side, cells // side], -1).astype(jnp.float32)


def places(cells: jax.Array, side: int) -> jax.Array:
  """[..., 2] (x, y) in [-1, 1) of cells [...]."""
  return 2 * (pixels(cells, side) - side / 2) / side


def channel_code(x: jax.Array, channels: int) -> jax.Array:
  """[..., channels]: cos^2(f (x - c)) around each of equally spaced centres c.

  f = pi channels / 8, and 0 beyond a quarter of a wave: about four channels
  see a number, and their sum is about 2 anywhere well inside.

  Args:
    x: [...] in -1 .. 1.
    channels: at least 2; the first centre is -1, the last is 1.
  """
  centres = jnp.asarray(np.linspace(-1, 1, channels), jnp.float32)
  phase = np.pi * channels / 8 * (x[..., None] - centres)
  return jnp.where(jnp.abs(phase) <= np.pi / 2, jnp.cos(phase) ** 2, 0.0)


def spread(maps: jax.Array) -> jax.Array:
  """[b, j] standard deviation of a map in pixels, over x and y.

  The root of the mean of both variances, of what exceeds FLOOR of the peak:
  detectors leave a little everywhere. Of a map without a positive cell: 0.

  Args:
    maps: [b, j, h, w].
  """
  mass = jnp.maximum(maps.astype(jnp.float32), 0)
  peak = mass.max((-2, -1), keepdims=True)
  mass = jnp.where(mass > FLOOR * peak, mass, 0)
  total = jnp.maximum(mass.sum((-2, -1)), jnp.finfo(jnp.float32).tiny)

  def variance(rows):  # [b, j, n] along one axis
    share = rows / total[..., None]
    at = jnp.arange(rows.shape[-1])
    away = at - (share * at).sum(-1, keepdims=True)
    return (share * away**2).sum(-1)

  return jnp.sqrt((variance(mass.sum(-2)) + variance(mass.sum(-1))) / 2)
