"""Which tokens are kept: masks from scores, ids or booleans.

Letters: b batch, n tokens, k kept tokens, d width.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Mask(NamedTuple):
  """A split of n tokens into kept and masked ones.

  Attributes:
    keep: [b, k] int32, kept ids in the order in which tokens are gathered.
    restore: [b, n] int32, position of token i in (kept ++ masked).
    mask: [b, n] float32, 0 kept, 1 masked.
  """

  keep: jax.Array
  restore: jax.Array
  mask: jax.Array


def keep_count(n: int, ratio: float) -> int:
  """Kept tokens, int(n * (1 - ratio)) in Python's double arithmetic.

  The rounding is part of the methods: keep_count(196, 0.75) = 49, and
  keep_count(100, 0.9) = 9, since 1 - 0.9 is just below 0.1.
  """
  return int(n * (1 - ratio))


def from_scores(scores: jax.Array, keep: int) -> Mask:
  """Keeps the `keep` smallest of [b, n] scores, in ascending order.

  MAE's random masking: the scores are uniform noise and the visible tokens
  stay in shuffled order. Equal scores keep their raster order.
  """
  shuffle = jnp.argsort(scores, axis=1).astype(jnp.int32)
  restore = jnp.argsort(shuffle, axis=1).astype(jnp.int32)
  mask = (restore >= keep).astype(jnp.float32)
  return Mask(shuffle[:, :keep], restore, mask)


def hide(scores: jax.Array, ratio: float) -> Mask | None:
  """Hides the share with the largest of [b, n] scores; None: ratio 0."""
  if not ratio:
    return None
  return from_scores(scores, keep_count(scores.shape[1], ratio))


def from_booleans(masked: jax.Array, keep: int) -> Mask:
  """Mask from [b, n] booleans (True = masked), kept tokens in raster order.

  Args:
    masked: [b, n] bool with n - keep True in each row.
    keep: number of False in each row, a Python int: shapes are static. A
      row with more False loses its last ones; with fewer, gains its first
      masked tokens.
  """
  return from_scores(masked.astype(jnp.int32), keep)


def from_ids(keep: jax.Array, n: int) -> Mask:
  """Mask that keeps the distinct ids [b, k], in the order given."""
  b, k = keep.shape
  rows = jnp.arange(b)[:, None]
  scores = jnp.full((b, n), k, jnp.int32)
  return from_scores(scores.at[rows, keep].set(jnp.arange(k)), k)


def squares_hidden(side: int, ratio: float) -> int:
  """Squares of side x side that `squares` hides, ceil(side^2 ratio)."""
  return int(np.ceil(side * side * ratio))


def squares(
  scores: jax.Array, ratio: float, grid: tuple[int, int]
) -> jax.Array:
  """SimMIM's mask: the ceil(N ratio) squares with the smallest scores.

  Args:
    scores: [b, r, r], one per square.
    ratio: share of the squares hidden.
    grid: (h, w) in patches, multiples of r.

  Returns:
    [b, h, w] float32, 1 = hidden, constant inside a square.
  """
  b, r, _ = scores.shape
  hidden = squares_hidden(r, ratio)
  rank = jnp.argsort(jnp.argsort(scores.reshape(b, -1), axis=1), axis=1)
  mask = (rank < hidden).astype(jnp.float32).reshape(b, r, r)
  return jnp.repeat(jnp.repeat(mask, grid[0] // r, 1), grid[1] // r, 2)


def take(x: jax.Array, ids: jax.Array) -> jax.Array:
  """Gathers tokens: x [b, n, d], ids [b, k] -> [b, k, d]."""
  # Row by row: `take_along_axis` would index, and in its gradient scatter,
  # every number of a row on its own.
  return jax.vmap(lambda rows, i: rows[i])(x, ids)


def restore(kept: jax.Array, fill: jax.Array, mask: Mask) -> jax.Array:
  """Puts kept tokens back in raster order and `fill` everywhere else.

  Args:
    kept: [b, k, d] in the order of `mask.keep`.
    fill: broadcasts to [b, n - k, d]: the mask token.
    mask: the split.

  Returns:
    [b, n, d].
  """
  b, k, d = kept.shape
  rest = jnp.broadcast_to(fill, (b, mask.restore.shape[1] - k, d))
  tokens = jnp.concatenate([kept, rest.astype(kept.dtype)], axis=1)
  return take(tokens, mask.restore)


def fill_up(
  x: jax.Array, valid: jax.Array | None, multiple: int
) -> tuple[jax.Array, jax.Array | None]:
  """Appends tokens that nothing attends to, up to a multiple.

  Args:
    x: [b, t, d].
    valid: [b, t] bool, True = may be attended to; None: all may.
    multiple: of which the number of tokens becomes one.

  Returns:
    [b, t + more, d] with zeros at the end, and which may be attended to.
  """
  more = -x.shape[1] % multiple
  if not more:
    return x, valid
  valid = jnp.ones(x.shape[:2], bool) if valid is None else valid
  x = jnp.pad(x, ((0, 0), (0, more), (0, 0)))
  return x, jnp.pad(valid, ((0, 0), (0, more)))


def masked_mean(values: jax.Array, mask: jax.Array) -> jax.Array:
  """sum(values * mask) / sum(mask) over everything; 0 if nothing is masked.

  The mask broadcasts to the values.
  """
  mask = jnp.broadcast_to(mask, values.shape)
  return jnp.sum(values * mask) / jnp.maximum(jnp.sum(mask), 1.0)


def row_means(values: jax.Array, mask: jax.Array) -> jax.Array:
  """As `masked_mean` of each row: [b, ..., n], [b, n] or alike -> [b]."""
  return jax.vmap(masked_mean)(values, mask)
