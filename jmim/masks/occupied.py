"""Two kinds of tokens, occupied and empty, masked apart with static budgets.

FastDiT-3D (Mo et al. 2024): of an example with n_f occupied and n_b empty
tokens n_f - floor(r_f n_f) and n_b - floor(r_b n_b) stay. These numbers differ
between examples; shapes do not, so there are so many slots for each kind, and
a slot without a token is marked.

Letters: b batch, n tokens, k slots.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Kept(NamedTuple):
  """Tokens that stay.

  Attributes:
    keep: [b, k] int32 ids, n in a slot without a token.
    valid: [b, k] bool, whether there is one.
    where: [b, n] int32, the slot of each token; k: it is hidden.
  """

  keep: jax.Array
  valid: jax.Array
  where: jax.Array

  @property
  def visible(self) -> jax.Array:
    """[b, n] bool."""
    return self.where < self.keep.shape[1]


def counts(most: int, ratio: float) -> np.ndarray:
  """[most + 1] tokens that stay of 0, 1, ... `most`: m - floor(ratio m)."""
  return np.array(
    [m - math.floor(ratio * m) for m in range(most + 1)], np.int32
  )


def slots(most: int, ratio: float, budget: int = 0) -> int:
  """Slots that a kind needs.

  Args:
    most: greatest number of its tokens in an example.
    ratio: share that is hidden.
    budget: limit; 0: none.
  """
  needed = int(counts(most, ratio)[-1])
  return min(needed, budget) if budget else needed


def split(
  scores: jax.Array,
  occupied: jax.Array,
  ratios: tuple[float, float],
  sizes: tuple[int, int],
) -> Kept:
  """The tokens of each kind with the smallest scores, those occupied first.

  Args:
    scores: [b, n] finite, uniform noise.
    occupied: [b, n] bool.
    ratios: (r_f, r_b) shares hidden, of the occupied and of the empty.
    sizes: slots of each kind, see `slots`; of more tokens to keep than slots
      the rest is hidden too.
  """
  ids, valid = [], []
  for kind, ratio, size in zip(
    (occupied, ~occupied), ratios, sizes, strict=True
  ):
    order = jnp.argsort(jnp.where(kind, scores, jnp.inf), axis=1)[:, :size]
    stay = jnp.asarray(counts(scores.shape[1], ratio))[kind.sum(1)]
    ids.append(order.astype(jnp.int32))
    valid.append(jnp.arange(size) < stay[:, None])
  return of(jnp.concatenate(ids, 1), jnp.concatenate(valid, 1), scores.shape[1])


def uniform(scores: jax.Array, size: int) -> Kept:
  """The `size` tokens with the smallest of [b, n] scores, whatever they are."""
  keep = jnp.argsort(scores, axis=1)[:, :size].astype(jnp.int32)
  return of(keep, jnp.ones(keep.shape, bool), scores.shape[1])


def of(ids: jax.Array, valid: jax.Array, n: int) -> Kept:
  """From ids [b, k], distinct where valid [b, k], of n tokens."""
  b, k = ids.shape
  keep = jnp.where(valid, ids, n)
  rows = jnp.arange(b)[:, None]
  where = jnp.full((b, n), k, jnp.int32)
  # Ids of n, of slots without a token, are outside and dropped.
  where = where.at[rows, keep].set(jnp.arange(k, dtype=jnp.int32), mode="drop")
  return Kept(keep, valid, where)


def restore(kept_tokens: jax.Array, fill: jax.Array, kept: Kept) -> jax.Array:
  """[b, k, d] tokens in their places among [b, n, d], `fill` [1, 1, d] else."""
  b, _, d = kept_tokens.shape
  last = jnp.broadcast_to(fill, (b, 1, d)).astype(kept_tokens.dtype)
  pool = jnp.concatenate([kept_tokens, last], axis=1)
  return jax.vmap(lambda rows, i: rows[i])(pool, kept.where)
