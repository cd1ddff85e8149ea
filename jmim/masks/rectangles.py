"""Masks made of rectangles: I-JEPA's blocks, CAE's block-wise masks.

Shapes are static: what varies in number is padded, with a `valid` beside it.
Letters: b batch, t target blocks, h w grid, n = h w cells, k kept.
"""

import jax
import jax.numpy as jnp
import numpy as np

TRIES = 20  # of I-JEPA, before a target may overlap the context


def block_size(u, grid, scale, aspect, xp=np):
  """(height, width) of I-JEPA's blocks: one uniform u fixes both.

  Args:
    u: in [0, 1); any shape.
    grid: (h, w) in patches.
    scale: least and greatest area, as a share of the grid.
    aspect: least and greatest height / width.
    xp: numpy or jax.numpy.
  """
  mix = lambda r: r[0] + u * (r[1] - r[0])
  area, ratio = xp.floor(grid[0] * grid[1] * mix(scale)), mix(aspect)
  high, wide = xp.round(xp.sqrt(area * ratio)), xp.round(xp.sqrt(area / ratio))
  return xp.minimum(high, grid[0] - 1), xp.minimum(wide, grid[1] - 1)


def most_cells(grid, scale, aspect) -> int:
  """Cells of the largest block that `block_size` can give."""
  high, wide = block_size(np.linspace(0, 1, 4097), grid, scale, aspect)
  return int((high * wide).max())


def cells(corner: jax.Array, size, grid: tuple[int, int]) -> jax.Array:
  """[.., n] bool: the cells of rectangles at corner [.., 2] (y, x)."""
  yx = jnp.asarray(np.indices(grid).reshape(2, -1))
  y, x = (corner[..., i, None] for i in range(2))
  high, wide = (jnp.asarray(s)[..., None] for s in size)
  rows = (yx[0] >= y) & (yx[0] < y + high)
  return rows & (yx[1] >= x) & (yx[1] < x + wide)


def corners(key: jax.Array, shape: tuple[int, ...], size, grid) -> jax.Array:
  """[*shape, 2] uniform over 0 .. side - size - 1 (I-JEPA's excluded end)."""
  room = jnp.stack([g - s for g, s in zip(grid, size, strict=True)])
  u = jax.random.uniform(key, (*shape, 2))
  return jnp.floor(u * room).astype(jnp.int32)


def ids(inside: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
  """The first k cells of [.., n] bool, ascending, and which are real."""
  order = jnp.argsort(~inside, axis=-1, stable=True)[..., :k]
  count = inside.sum(-1, keepdims=True)
  return order.astype(jnp.int32), jnp.arange(k) < count


def multi_block(
  key: jax.Array,
  batch: int,
  grid: tuple[int, int],
  targets: int,
  target_scale: tuple[float, float],
  target_aspect: tuple[float, float],
  context_scale: tuple[float, float],
  min_keep: int,
) -> tuple[jax.Array, jax.Array]:
  """I-JEPA's masks: sizes drawn once per batch, places per image.

  A context block loses the cells of all targets; a place that leaves at most
  `min_keep` is drawn again, and after every 20 the last target still heeded
  is no longer.

  Returns:
    context [b, n] bool, targets [b, t, n] bool.
  """
  k_t, k_c, k_at, k_ac = jax.random.split(key, 4)
  size = lambda k, s, a: block_size(
    jax.random.uniform(k), grid, scale=s, aspect=a, xp=jnp
  )
  target_size = size(k_t, target_scale, target_aspect)
  at = corners(k_at, (batch, targets), target_size, grid)
  found = cells(at, target_size, grid)
  size_c = size(k_c, context_scale, (1.0, 1.0))
  at = corners(k_ac, (batch, targets + 1, TRIES), size_c, grid)
  block = cells(at, size_c, grid)  # [b, stage, try, n]
  taken = jnp.cumsum(found, axis=1) > 0  # by the first 1, 2, .. targets
  none = jnp.zeros_like(taken[:, :1])
  heeded = jnp.concatenate([taken[:, ::-1], none], axis=1)
  left = (block & ~heeded[:, :, None]).reshape(batch, -1, block.shape[-1])
  first = jnp.argmax(left.sum(-1) > min_keep, axis=1)
  return jax.vmap(lambda rows, i: rows[i])(left, first), found


def block_wise(
  key: jax.Array,
  grid: tuple[int, int],
  masked: int,
  min_area: int = 16,
  aspect: float = 0.3,
) -> jax.Array:
  """[n] bool with exactly `masked` cells set, rectangle by rectangle (CAE).

  Area uniform between `min_area` and what is missing, aspect log-uniform in
  (aspect, 1 / aspect); a rectangle counts if it adds a cell and not too many.
  `min_area` is at most a quarter of `masked`: on a small grid hardly any
  rectangle of 16 cells fits.
  """
  h, w = grid
  min_area = min(min_area, masked // 4)
  log = np.log([aspect, 1 / aspect])

  def attempt(state):
    key, mask = state
    key, k_area, k_aspect, k_place = jax.random.split(key, 4)
    missing = masked - mask.sum()
    area = min_area + jax.random.uniform(k_area) * (missing - min_area)
    ratio = jnp.exp(
      jax.random.uniform(k_aspect, (), minval=log[0], maxval=log[1])
    )
    size = jnp.round(jnp.sqrt(jnp.stack([area * ratio, area / ratio])))
    room = jnp.asarray(grid) - size  # >= 1 where the rectangle may be
    place = jnp.floor(jax.random.uniform(k_place, (2,)) * (room + 1))
    new = mask | cells(place, size, grid)
    added = new.sum() - mask.sum()
    fits = (room > 0).all() & (added > 0) & (added <= missing)
    return key, jnp.where(fits, new, mask)

  start = (key, jnp.zeros(h * w, bool))
  return jax.lax.while_loop(lambda s: s[1].sum() < masked, attempt, start)[1]


def scattered(key: jax.Array, grid: tuple[int, int], masked: int) -> jax.Array:
  """[n] bool with `masked` cells set at random."""
  return jax.random.permutation(key, jnp.arange(grid[0] * grid[1])) < masked
