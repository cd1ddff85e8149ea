"""Masks made of rectangles: I-JEPA's blocks, CAE's block-wise masks.

Shapes are static: what varies in number is padded, with a `valid` beside it.
Letters: b batch, t target blocks, h w grid, n = h w cells, k kept.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

TRIES = 20  # of I-JEPA, before a target may overlap the context

Grid = tuple[int, int]
Range = tuple[float, float]


def block_size(
  u: Any, grid: Grid, scale: Range, aspect: Range, xp: Any = np
) -> tuple[Any, Any]:
  """(height, width) of I-JEPA's blocks, in patches: one uniform u fixes both.

  Args:
    u: in [0, 1); any shape.
    grid: (h, w) in patches.
    scale: least and greatest area, as a share of the grid.
    aspect: least and greatest height / width.
    xp: numpy or jax.numpy.

  Returns:
    two float arrays of the shape of u; whole numbers.
  """
  mix = lambda r: r[0] + u * (r[1] - r[0])
  area, ratio = xp.floor(grid[0] * grid[1] * mix(scale)), mix(aspect)
  height = xp.round(xp.sqrt(area * ratio))
  width = xp.round(xp.sqrt(area / ratio))
  return xp.minimum(height, grid[0] - 1), xp.minimum(width, grid[1] - 1)


def most_cells(grid: Grid, scale: Range, aspect: Range) -> int:
  """Cells of the largest block that `block_size` can give."""
  height, width = block_size(np.linspace(0, 1, 4097), grid, scale, aspect)
  return int((height * width).max())


def fewest_cells(grid: Grid, scale: Range, aspect: Range) -> int:
  """Cells of the smallest block that `block_size` can give; 0: none at all."""
  height, width = block_size(np.linspace(0, 1, 4097), grid, scale, aspect)
  return int((height * width).min())


def cells(corner: jax.Array, size: Any, grid: Grid) -> jax.Array:
  """The cells of rectangles.

  Args:
    corner: [.., 2] (y, x) of the first cell.
    size: (height, width), two numbers or arrays [..].
    grid: (h, w) in cells.

  Returns:
    [.., n] bool.
  """
  yx = jnp.asarray(np.indices(grid).reshape(2, -1))
  y, x = (corner[..., i, None] for i in range(2))
  height, width = (jnp.asarray(s)[..., None] for s in size)
  rows = (yx[0] >= y) & (yx[0] < y + height)
  return rows & (yx[1] >= x) & (yx[1] < x + width)


def corners(
  key: jax.Array, shape: tuple[int, ...], size: Any, grid: Grid
) -> jax.Array:
  """[*shape, 2] uniform over 0 .. side - size - 1 (I-JEPA's excluded end)."""
  choices = jnp.stack([g - s for g, s in zip(grid, size, strict=True)])
  u = jax.random.uniform(key, (*shape, 2))
  return jnp.floor(u * choices).astype(jnp.int32)


def ids(inside: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
  """The first k cells that are set, padded with others.

  Args:
    inside: [.., n] bool.
    k: static length of the lists.

  Returns:
    [.., k] int32, ascending where real, and [.., k] bool, True = real.
  """
  order = jnp.argsort(~inside, axis=-1, stable=True)[..., :k]
  count = inside.sum(-1, keepdims=True)
  return order.astype(jnp.int32), jnp.arange(k) < count


def multi_block(
  key: jax.Array,
  batch: int,
  grid: Grid,
  targets: int,
  target_scale: Range,
  target_aspect: Range,
  context_scale: Range,
  min_keep: int,
) -> tuple[jax.Array, jax.Array]:
  """I-JEPA's masks: sizes drawn once per batch, places per image.

  A context block loses the cells of all targets; a place where it keeps at
  most `min_keep` is drawn again. After every `TRIES` places one target less,
  from the last, is taken out of the context.

  Args:
    key: random key.
    batch: b.
    grid: (h, w) in patches.
    targets: t.
    target_scale: least and greatest area of a target, as a share of the grid.
    target_aspect: least and greatest height / width of a target.
    context_scale: least and greatest area of the (square) context block.
    min_keep: cells of the context must exceed it.

  Returns:
    context [b, n] bool, targets [b, t, n] bool.
  """
  k_t, k_c, k_at, k_ac = jax.random.split(key, 4)
  size = lambda k, s, a: block_size(
    jax.random.uniform(k), grid, scale=s, aspect=a, xp=jnp
  )
  target_size = size(k_t, target_scale, target_aspect)
  at = corners(k_at, (batch, targets), target_size, grid)
  target_cells = cells(at, target_size, grid)
  context_size = size(k_c, context_scale, (1.0, 1.0))
  at = corners(k_ac, (batch, targets + 1, TRIES), context_size, grid)
  block = cells(at, context_size, grid)  # [b, stage, try, n]
  # What is taken out at each stage: the union of all targets, of all but the
  # last, .., of none.
  unions = jnp.cumsum(target_cells, axis=1) > 0  # of the first 1, 2, .. t
  none = jnp.zeros_like(unions[:, :1])
  removed = jnp.concatenate([unions[:, ::-1], none], axis=1)
  context = (block & ~removed[:, :, None]).reshape(batch, -1, block.shape[-1])
  first = jnp.argmax(context.sum(-1) > min_keep, axis=1)
  return jax.vmap(lambda rows, i: rows[i])(context, first), target_cells


def block_wise(
  key: jax.Array,
  grid: Grid,
  masked: int,
  min_area: int = 16,
  aspect: float = 0.3,
) -> jax.Array:
  """[n] bool with exactly `masked` cells set, rectangle by rectangle (CAE).

  Area uniform between `min_area` and the number still missing, aspect
  log-uniform in (aspect, 1 / aspect); a rectangle counts if it adds at least
  one cell and no more than are missing.

  Args:
    key: random key.
    grid: (h, w) in patches.
    masked: cells to set.
    min_area: of a rectangle; at most a quarter of `masked`, since on a small
      grid hardly any rectangle of 16 cells fits.
    aspect: least height / width.
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
    slack = jnp.asarray(grid) - size
    place = jnp.floor(jax.random.uniform(k_place, (2,)) * (slack + 1))
    new = mask | cells(place, size, grid)
    added = new.sum() - mask.sum()
    # The authors want h < H and w < W.
    fits = (slack > 0).all() & (added > 0) & (added <= missing)
    return key, jnp.where(fits, new, mask)

  start = (key, jnp.zeros(h * w, bool))
  return jax.lax.while_loop(lambda s: s[1].sum() < masked, attempt, start)[1]


def scattered(key: jax.Array, grid: Grid, masked: int) -> jax.Array:
  """[n] bool with `masked` cells set at random."""
  return jax.random.permutation(key, jnp.arange(grid[0] * grid[1])) < masked


def holes(u: jax.Array, side: int) -> jax.Array:
  """[b, side, side, 1] float32, 1 in a rectangle of a quarter to half a side.

  Args:
    u: [b, 4] in [0, 1): extent and corner, (y, x) each.
    side: of the image [pixels].
  """
  extent = side * (0.25 + 0.25 * u[:, :2])
  corner = u[:, 2:] * (side - extent)
  at = jnp.arange(side) + 0.5
  low, high = corner[..., None], (corner + extent)[..., None]
  inside = (at > low) & (at < high)  # [b, 2, side]
  both = inside[:, 0, :, None] & inside[:, 1, None, :]
  return both[..., None].astype(jnp.float32)
