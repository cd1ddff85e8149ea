"""Fewer tokens: ordering by importance, pruning, merging, redundancy.

Shapes are static. What removes tokens takes Python counts and returns shorter
arrays; what only masks them takes counts that may be traced and keeps all
tokens, so that a count can be learned (DiffRate). Letters: b batch, h heads, t
tokens (the class token first), n patch tokens, k kept ones, d width.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jmim.nn import norm


class Merged(NamedTuple):
  """Tokens after a merge.

  Attributes:
    x: [b, k or t, d] tokens.
    size: [b, k or t] float32, how many tokens each stands for.
    similarity: [b, sources] float32, cosine with the token merged into.
  """

  x: jax.Array
  size: jax.Array
  similarity: jax.Array


# Order.


def by_importance(importance: jax.Array) -> jax.Array:
  """[b, n] of the patches -> ids [b, 1 + n]: cls, then from most to least.

  Equal ones keep their order.
  """
  ids = 1 + jnp.argsort(importance, axis=1, descending=True)
  return jnp.pad(ids, ((0, 0), (1, 0))).astype(jnp.int32)


def redundancy(x: jax.Array) -> jax.Array:
  """Mean cosine of each token with all others; [b, n, d] -> [b, n] float32.

  Hybrid Distillation; n is at least 2.
  """
  u = norm.unit(x)
  # A token's cosine with itself is |u|^2: 1, or 0 of a token of zeros.
  own = jnp.sum(u * u, -1)
  all_ = jnp.einsum("bnd,bd->bn", u, u.sum(1))
  return (all_ - own) / (x.shape[1] - 1)


def least_redundant(x: jax.Array, keep: int) -> jax.Array:
  """Ids [b, keep] int32, rising, of the tokens least like the others.

  Args:
    x: [b, n, d] tokens, of which none must stay (no class token).
    keep: how many stay, at most n. Of equal ones the first stay.
  """
  ids = jnp.argsort(redundancy(x), axis=1)[:, :keep]
  return jnp.sort(ids, axis=1).astype(jnp.int32)


def stage_counts(n: int, ratio: float, stages: int) -> Sequence[int]:
  """Tokens left after each stage that drops a share: int(n (1 - ratio)^k).

  (137, 96, 67) of 196 for a ratio of 0.3 and three stages.
  """
  return tuple(int(n * (1 - ratio) ** k) for k in range(1, stages + 1))


# Merging.


def _nearest(src, dst, allowed):
  """Largest cosine [b, s], and one-hot [b, s, k] of the token it is with.

  Args:
    src: [b, s, d].
    dst: [b, k, d].
    allowed: [k] bool, which of `dst` may be chosen.
  """
  # No gradient goes through the choice, nor through what weighs sizes.
  src, dst = (norm.unit(jax.lax.stop_gradient(x)) for x in (src, dst))
  cosine = jnp.einsum("bsd,bkd->bsk", src, dst)
  cosine = jnp.where(allowed, cosine, -jnp.inf)
  into = jax.nn.one_hot(cosine.argmax(-1), dst.shape[1], dtype=jnp.float32)
  return cosine.max(-1), into


def _gathered(x, src, size, src_size, into):
  """Plain mean of x and the sources, and sum of the sizes; see `merge`."""
  f32 = jnp.float32
  total = x.astype(f32) + jnp.einsum("bsk,bsd->bkd", into, src.astype(f32))
  mean = total / (1 + into.sum(1))[..., None]
  return mean.astype(x.dtype), size + jnp.einsum("bsk,bs->bk", into, src_size)


def merge(x: jax.Array, size: jax.Array, keep: int) -> Merged:
  """Merges the tokens beyond `keep`, each into the kept patch most like it.

  A kept token becomes the plain mean of itself and what is merged into it; its
  size grows by their sizes times their cosines. Nothing goes into cls.

  Args:
    x: [b, t, d] tokens from most to least important, the class token first.
    size: [b, t].
    keep: Python int, 2 .. t.
  """
  dst, src = x[:, :keep], x[:, keep:]
  similarity, into = _nearest(src, dst, jnp.arange(keep) > 0)
  new, grown = _gathered(
    dst,
    src,
    size=size[:, :keep],
    src_size=size[:, keep:] * similarity,
    into=into,
  )
  return Merged(new, grown, similarity)


def merge_masked(
  x: jax.Array,
  size: jax.Array,
  *,
  keep: jax.Array,
  alive: jax.Array,
  clamp: bool = True,
) -> Merged:
  """As `merge` where counts are traced: the merged tokens stay, unchanged.

  Tokens keep .. alive - 1 are merged; those behind are gone already. Nothing
  changes where keep >= alive.

  Args:
    x: [b, t, d].
    size: [b, t].
    keep: int32 [].
    alive: int32 [].
    clamp: sizes (of sources, times their cosine) to at least 1 before they are
      added, as the authors' training does and their inference does not.
  """
  place = jnp.arange(x.shape[1])
  source = (place >= keep) & (place < alive)
  similarity, into = _nearest(x, x, (place > 0) & (place < keep))
  least = 1.0 if clamp else -jnp.inf
  added = jnp.maximum(jnp.where(source, size * similarity, 0.0), least)
  new, grown = _gathered(
    x,
    x,
    size=jnp.maximum(size, least),
    src_size=added,
    into=into * source[:, None],
  )
  changes = (place < keep) & (keep < alive)
  return Merged(new, jnp.where(changes, grown, size), similarity)


# Masks that counts can be learned through.


def straight_through(hard: jax.Array, soft: jax.Array) -> jax.Array:
  """The value of `hard`, exactly, with the gradient of `soft`."""
  # In this order: the bracket is 0 exactly.
  return jax.lax.stop_gradient(hard) + (soft - jax.lax.stop_gradient(soft))


def survival_mask(
  survival: jax.Array, keep: jax.Array, alive: jax.Array
) -> jax.Array:
  """[t]: 0 at places keep .. alive - 1, else 1; gradient of `survival`.

  All 1 and without gradient where keep >= alive.

  Args:
    survival: [t] probability that each place is kept.
    keep: int32 [].
    alive: int32 [], tokens before.
  """
  place = jnp.arange(len(survival))
  hard = 1.0 - ((place >= keep) & (place < alive))
  soft = straight_through(hard, survival)
  return jnp.where(keep < alive, soft, 1.0)


def masked_softmax(
  logits: jax.Array, mask: jax.Array, eps: float = 1e-6
) -> jax.Array:
  """Softmax over the tokens of a mask, differentiable in it; float32.

    e_ij = exp(l_ij - max_j l_ij) P_ij,    P_ij = m_j, but P_ii = 1
    a_ij = (e_ij + eps / t) / (sum_j e_ij + eps)

  Args:
    logits: [b, h, t, t].
    mask: [b, t], 1 = alive; a token that is not still sees itself.
    eps: keeps a row of nothing finite.
  """
  t = logits.shape[-1]
  logits = logits.astype(jnp.float32)
  largest = jax.lax.stop_gradient(logits.max(-1, keepdims=True))
  e = jnp.exp(logits - largest)
  m = mask[:, None, None, :].astype(jnp.float32)
  e = e * (m + (1 - m) * jnp.eye(t))
  return (e + eps / t) / (e.sum(-1, keepdims=True) + eps)
