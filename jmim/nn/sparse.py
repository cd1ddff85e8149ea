"""Attention of which a part of the blocks is computed, by gathers.

    out_i = sum_j softmax_j(Z_ij) v_j       over the keys j of kept blocks alone

What is dropped is absent, so weights sum to 1 over what is kept. Each row of
blocks keeps as many as any other of its head (`nn.block_masks`), and heads keep
a static number of blocks in all: shapes are static, and the work is that of
the kept blocks, no more.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jmim.nn import attention
from jmim.nn import block_masks
from jmim.nn import streaming


class State(NamedTuple):
  """What a layer keeps between calls, of a batch with both halves of guidance.

  Attributes:
    lse: [b, h, t] float32, of the first search.
    kept: [b, h, n, m] int32 blocks of each row; of the selection "whole" a mask
      [b, h, n, n].
    count: [b, h] int32, how many of the m.
    noise: [b, h, n, n] of random blocks; None: none are.
  """

  lse: jax.Array
  kept: jax.Array
  count: jax.Array
  noise: jax.Array | None


class _Lanes(NamedTuple):
  """Turns of a loop: in each, every lane handles one block of one head.

  Attributes:
    heads: [b, l, g] the heads of a lane.
    which: [s, b, l] place among these of a turn's head.
    index: [s, b, l, n] its blocks of keys.
  """

  heads: jax.Array
  which: jax.Array
  index: jax.Array


def attend(
  q: jax.Array,
  k: jax.Array,
  v: jax.Array,
  index: jax.Array,
  layout: block_masks.Layout,
  count: jax.Array | None = None,
  base: int = 0,
) -> jax.Array:
  """Attention to the kept blocks.

  Heads of unequal counts share lanes: the one that keeps least goes with the
  one that keeps most, 2 base turns for both, so nothing is padded.

  Args:
    q: [b, h, t, d].
    k: [b, h, t, d].
    v: [b, h, t, d].
    index: [b, h, n, m] blocks of keys of each row, no block twice.
    layout: of the blocks.
    count: [b, h] how many of the m a head keeps; None: all. The i-th least
      and the i-th greatest sum to 2 base (`block_masks.by_head`).
    base: see count.

  Returns:
    [b, h, t, d] in the dtype of v.
  """
  parts = [_one_each(index)] if count is None else _pairs(index, count, base)
  blocked = [
    streaming.blocks(a[:, :, : layout.start], layout.block) for a in (q, k, v)
  ]
  start = _text(q, k, v=v, layout=layout)
  outs = [_walk(*blocked, start=start, lanes=p, layout=layout) for p in parts]
  # Back to the order of the heads.
  flat = lambda a: a.reshape(len(a), -1, *a.shape[3:])
  heads = jnp.concatenate([flat(p.heads) for p in parts], axis=1)
  out = jnp.concatenate([flat(o) for o in outs], axis=1)
  out = _pick(out, jnp.argsort(heads, axis=1))
  out = out.reshape(*out.shape[:2], -1, out.shape[-1])[:, :, : layout.start]
  if layout.start == layout.tokens:
    return out.astype(v.dtype)
  rest, _ = streaming.attend(q[:, :, layout.start :], k, v, layout.block)
  return jnp.concatenate([out.astype(v.dtype), rest], axis=2)


def _pick(x, at):
  """[b, h, ...], [b, ...] places -> [b, ..., ...]."""
  return jax.vmap(lambda a, i: a[i])(x, at)


def _one_each(index):
  """A head per lane."""
  b, h, _, m = index.shape
  heads = jnp.broadcast_to(jnp.arange(h)[:, None], (b, h, 1))
  which = jnp.zeros((m, b, h), jnp.int32)
  return _Lanes(heads, which, jnp.moveaxis(index, -1, 0))


def _pairs(index, count, base):
  """Two heads per lane; of an odd number the middle one has its own."""
  h = count.shape[1]
  order = jnp.argsort(count, axis=1)
  pairs = h // 2
  heads = jnp.stack([order[:, :pairs], order[:, ::-1][:, :pairs]], axis=-1)
  first = jnp.take_along_axis(count, heads[..., 0], axis=1)
  turn = jnp.arange(2 * base)[:, None, None]
  which = (turn >= first).astype(jnp.int32)
  place = turn - which * first  # [s, b, l]
  rows = _pick(index, heads)  # [b, l, 2, n, m]

  def blocks(which, place):
    own = jnp.where(which[..., None, None] == 0, rows[:, :, 0], rows[:, :, 1])
    at = jnp.minimum(place, index.shape[-1] - 1)
    return jnp.take_along_axis(own, at[..., None, None], axis=-1)[..., 0]

  lanes = [_Lanes(heads, which, jax.vmap(blocks)(which, place))] * (pairs > 0)
  if h % 2:
    middle = order[:, pairs : pairs + 1, None]
    rows = _pick(index, middle[..., 0])[..., :base]
    none = jnp.zeros((base, len(count), 1), jnp.int32)
    lanes.append(_Lanes(middle, none, jnp.moveaxis(rows, -1, 0)))
  return lanes


def _text(q, k, *, v, layout):
  """What queries of the video [b, h, n, block] have seen of the text."""
  queries = streaming.blocks(q[:, :, : layout.start], layout.block)
  start = streaming.begun(queries.shape[:-1], v.shape[-1])
  if layout.start == layout.tokens:
    return start
  keys, values = (a[:, :, None, layout.start :] for a in (k, v))
  return start.add(streaming.logits(queries, keys), values)


def _walk(q, k, v, *, start, lanes, layout):
  """[b, h, n, block, d] three times -> [b, l, g, n, block, d]."""
  n, heads = layout.video, lanes.heads
  there = streaming.seen(layout.start, layout.block)
  flat = lambda a: a.reshape(len(a), -1, *a.shape[3:])  # [b, h n, block, d]
  k, v = flat(k), flat(v)

  def turn(running, slot):
    which, index = slot  # [b, l], [b, l, n]
    one = which[..., None, None, None]
    take = lambda a: jnp.take_along_axis(
      a, one.reshape(*one.shape[:3], *(1,) * (a.ndim - 3)), axis=2
    )[:, :, 0]
    head = take(heads)
    at = head[..., None] * n + index
    z = streaming.logits(_pick(q, head), _pick(k, at))
    z = jnp.where(there[index][..., None, :], z, streaming.FLOOR)
    new = jax.tree.map(take, running).add(z, _pick(v, at))
    mine = jnp.arange(heads.shape[2]) == which[..., None]  # [b, l, g]
    put = lambda old, own: jnp.where(
      mine.reshape(*mine.shape, *(1,) * (old.ndim - 3)), own[:, :, None], old
    )
    return jax.tree.map(put, running, new), None

  running = jax.tree.map(lambda a: _pick(a, heads), start)
  running, _ = jax.lax.scan(turn, running, (lanes.which, lanes.index))
  return running.mean


def masked(
  q: jax.Array,
  k: jax.Array,
  v: jax.Array,
  mask: jax.Array,
  layout: block_masks.Layout,
) -> jax.Array:
  """The same with any mask, at the cost of all blocks.

  A row of blocks that keeps none sees all keys alike: it is given their mean.

  Args:
    q: [b, h, t, d].
    k: [b, h, t, d].
    v: [b, h, t, d].
    mask: [b, h, N, N] bool, True = kept.
    layout: of the blocks.
  """
  tokens = jnp.repeat(jnp.repeat(mask, layout.block, 2), layout.block, 3)
  tokens = tokens[:, :, : layout.tokens, : layout.tokens]
  hide = lambda z: jnp.where(tokens, z, streaming.FLOOR)
  return attention.attend(q, k, v, edit=hide)
