"""Attention over blocks of keys, one after the other, and its log-sum-exp.

With Z = q k^T / sqrt(d), and keys that come in parts (Milakov and Gimelshein
2018; Dao et al. 2022):

    lse_i = log sum_j exp Z_ij
    W_ij  = exp(Z_ij - lse_i)                            rows sum to 1
    S_pq  = sum of W_ij over i in block p, j in block q

No array has as many numbers as W. Blocks are of `block` tokens, the last may
be shorter. Everything but products of q, k and v is float32.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

# Finite: the difference of two is 0, not NaN.
FLOOR = float(jnp.finfo(jnp.float32).min)


class Running(NamedTuple):
  """A softmax over the keys seen so far, float32.

  Attributes:
    peak: [..., t] greatest logit.
    total: [..., t] sum of exp(logit - peak).
    value: [..., t, d] sum of exp(logit - peak) v.
  """

  peak: jax.Array
  total: jax.Array
  value: jax.Array

  def add(self, logits: jax.Array, v: jax.Array) -> "Running":
    """With more keys.

    Args:
      logits: [..., t, s] float32; FLOOR: not seen.
      v: [..., s, d].
    """
    peak = jnp.maximum(self.peak, logits.max(-1))
    shrunk = jnp.exp(self.peak - peak)
    p = jnp.where(logits == FLOOR, 0.0, jnp.exp(logits - peak[..., None]))
    value = jnp.einsum(
      "...ts,...sd->...td",
      p.astype(v.dtype),
      v,
      preferred_element_type=jnp.float32,
    )
    return Running(
      peak,
      self.total * shrunk + p.sum(-1),
      self.value * shrunk[..., None] + value,
    )

  @property
  def mean(self) -> jax.Array:
    """[..., t, d]: softmax(logits) v."""
    return self.value / self.total[..., None]

  @property
  def lse(self) -> jax.Array:
    """[..., t]: log of the sum of exp(logits)."""
    return self.peak + jnp.log(self.total)


def begun(shape: tuple[int, ...], width: int) -> Running:
  """No key seen by queries [*shape], values of that width."""
  full = lambda x, *more: jnp.full((*shape, *more), x, jnp.float32)
  return Running(full(FLOOR), full(0.0), full(0.0, width))


def logits(q: jax.Array, k: jax.Array) -> jax.Array:
  """[..., t, d], [..., s, d] -> [..., t, s] float32, over sqrt(d)."""
  found = jnp.einsum(
    "...td,...sd->...ts", q, k, preferred_element_type=jnp.float32
  )
  return found * q.shape[-1] ** -0.5


def blocks(x: jax.Array, block: int) -> jax.Array:
  """[b, h, t, ...] -> [b, h, n, block, ...], zeros behind the last token."""
  b, h, t, *rest = x.shape
  n = -(-t // block)
  pad = [(0, 0), (0, 0), (0, n * block - t), *((0, 0) for _ in rest)]
  return jnp.pad(x, pad).reshape(b, h, n, block, *rest)


def seen(t: int, block: int) -> jax.Array:
  """[n, block] bool: which places of the blocks of t tokens hold one."""
  n = -(-t // block)
  return (jnp.arange(n * block) < t).reshape(n, block)


def _parts(x, block):
  """[b, h, t, d] -> [n, b, h, block, d], as a loop over blocks reads them."""
  return jnp.moveaxis(blocks(x, block), 2, 0)


def attend(
  q: jax.Array, k: jax.Array, v: jax.Array, block: int
) -> tuple[jax.Array, jax.Array]:
  """softmax(Z) v, and lse.

  Args:
    q: [b, h, t, d].
    k: [b, h, s, d].
    v: [b, h, s, d].
    block: keys of a turn of the loop.

  Returns:
    [b, h, t, d] in the dtype of v; [b, h, t] float32.
  """

  def turn(running, part):
    keys, values, there = part
    z = jnp.where(there, logits(q, keys), FLOOR)
    return running.add(z, values), None

  xs = (_parts(k, block), _parts(v, block), seen(k.shape[2], block))
  running, _ = jax.lax.scan(turn, begun(q.shape[:3], v.shape[-1]), xs)
  return running.mean.astype(v.dtype), running.lse


def block_sums(
  q: jax.Array, k: jax.Array, lse: jax.Array, block: int
) -> jax.Array:
  """S [b, h, n, n] float32, with any lse.

  With the lse of q and k each row of S sums to the tokens of its block; with
  one of other q and k (an earlier step) they are as near as these are.

  Args:
    q: [b, h, t, d].
    k: [b, h, t, d].
    lse: [b, h, t].
    block: tokens of a block.
  """

  def turn(_, part):
    keys, there = part
    w = jnp.where(there, jnp.exp(logits(q, keys) - lse[..., None]), 0.0)
    return None, blocks(w.sum(-1), block).sum(-1)

  xs = (_parts(k, block), seen(k.shape[2], block))
  return jnp.moveaxis(jax.lax.scan(turn, None, xs)[1], 0, -1)


def search(
  q: jax.Array, k: jax.Array, v: jax.Array, block: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Attention, lse and S: two passes over the keys.

  (Fused online search of AdaSpa, Xia et al. 2025. Their listing has
  log(Z - lse) where it must be exp.)

  Args:
    q: [b, h, t, d].
    k: [b, h, t, d].
    v: [b, h, t, d].
    block: tokens of a block.

  Returns:
    [b, h, t, d]; [b, h, t] float32; [b, h, n, n] float32.
  """
  out, lse = attend(q, k, v, block)
  return out, lse, block_sums(q, k, lse, block)
