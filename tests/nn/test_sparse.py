import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.cost import flops
from jmim.nn import attention
from jmim.nn import block_masks
from jmim.nn import sparse
from jmim.nn import streaming

B, D, BLOCK = 2, 4, 4


def layout(tokens, text=0):
  return block_masks.Layout(tokens=tokens, block=BLOCK, text=text)


LAYOUTS = {
  "whole": layout(40),
  "ragged": layout(39),
  "text": layout(45, text=5),
  "mixed": layout(46, text=8),
}


@pytest.fixture
def qkv(normal):
  return lambda t, h=3: [2 * normal(B, h, t, D, seed=i) for i in range(3)]


def found(blocks, q, k, v):
  """S."""
  return streaming.search(q, k, v, blocks.block)[2]


def reference(q, k, v, mask, blocks):
  """Softmax in float64 over the tokens of kept blocks."""
  q, k, v = (np.asarray(a, np.float64) for a in (q, k, v))
  kept = np.kron(np.asarray(mask), np.ones((blocks.block, blocks.block)))
  kept = kept[..., : blocks.tokens, : blocks.tokens]
  z = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
  w = np.where(kept, np.exp(z - z.max(-1, keepdims=True)), 0.0)
  return w / w.sum(-1, keepdims=True) @ v


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("k", [1, 3])
def test_equal_rows_are_a_softmax_over_the_kept_keys(qkv, name, k):
  blocks = LAYOUTS[name]
  q, keys, v = qkv(blocks.tokens)
  index = block_masks.rows(found(blocks, q, keys, v), k, blocks)
  attend = jax.jit(functools.partial(sparse.attend, layout=blocks))
  out = attend(q, keys, v, index=index)
  mask = block_masks.mask(index, blocks)
  np.testing.assert_allclose(
    out, reference(q, keys, v, mask=mask, blocks=blocks), atol=1e-5
  )
  np.testing.assert_allclose(
    sparse.masked(q, keys, v, mask=mask, layout=blocks), out, atol=1e-5
  )


@pytest.mark.parametrize("heads", [1, 4, 5])
@pytest.mark.parametrize("name", LAYOUTS)
def test_heads_of_unequal_counts_share_lanes(qkv, name, heads):
  blocks = LAYOUTS[name]
  q, k, v = qkv(blocks.tokens, heads)
  number = block_masks.counts(0.6, blocks.video)
  assert number.few < number.base
  index, count = block_masks.by_head(
    found(blocks, q, k, v), number, threshold=0.0, layout=blocks
  )
  attend = functools.partial(sparse.attend, layout=blocks, base=number.base)
  out = jax.jit(attend)(q, k, v, index, count=count)
  mask = block_masks.mask(index, blocks, count)
  np.testing.assert_allclose(
    out, reference(q, k, v, mask=mask, blocks=blocks), atol=1e-5
  )


@pytest.mark.parametrize("name", LAYOUTS)
def test_no_sparsity_is_dense_attention(qkv, name):
  blocks = LAYOUTS[name]
  q, k, v = qkv(blocks.tokens)
  kept = block_masks.kept(0.0, blocks.video)
  index = block_masks.rows(found(blocks, q, k, v), kept, blocks)
  out = sparse.attend(q, k, v, index=index, layout=blocks)
  np.testing.assert_allclose(out, attention.attend(q, k, v), atol=1e-5)


def test_a_constant_on_every_logit_of_a_row_changes_nothing(qkv):
  blocks = LAYOUTS["mixed"]
  q, k, v = qkv(blocks.tokens)
  index = block_masks.rows(found(blocks, q, k, v), 2, blocks)
  moved = k + np.float32([1.0, -2.0, 0.5, 3.0])
  np.testing.assert_array_equal(
    block_masks.rows(found(blocks, q, moved, v), 2, blocks), index
  )
  np.testing.assert_allclose(
    sparse.attend(q, moved, v, index=index, layout=blocks),
    sparse.attend(q, k, v, index=index, layout=blocks),
    atol=1e-5,
  )


def test_what_is_dropped_has_no_influence_and_text_always_has(qkv):
  blocks = LAYOUTS["text"]
  q, k, v = qkv(blocks.tokens)
  q = 0.2 * q  # so that no weight is near 0
  index = jnp.broadcast_to(jnp.int32([2, 7]), (B, 3, blocks.video, 2))
  attend = lambda v: sparse.attend(q, k, v, index=index, layout=blocks)
  out, first = attend(v), v.copy()
  first[:, :, : 2 * BLOCK] += 9.0  # blocks 0 and 1
  same = attend(first)[:, :, : blocks.start]
  np.testing.assert_array_equal(same, out[:, :, : blocks.start])
  # Rows of the text see everything.
  assert (np.abs(attend(first) - out)[:, :, blocks.start :] > 1e-3).all()
  text = v.copy()
  text[:, :, blocks.start :] += 9.0
  assert (np.abs(attend(text) - out) > 1e-4).all()


def test_a_row_that_keeps_nothing_is_given_the_mean(qkv):
  blocks = layout(8)
  q, k, v = qkv(8)
  mask = jnp.zeros((B, 3, 2, 2), bool).at[:, :, 1].set(True)
  out = sparse.masked(q, k, v, mask=mask, layout=blocks)
  mean = np.broadcast_to(v.mean(2, keepdims=True), out[:, :, :4].shape)
  np.testing.assert_allclose(out[:, :, :4], mean, atol=1e-5)
  np.testing.assert_allclose(
    out[:, :, 4:], attention.attend(q, k, v)[:, :, 4:], atol=1e-5
  )


@pytest.mark.parametrize("heads", [4, 5])
def test_work_is_that_of_the_kept_blocks(qkv, heads):
  blocks = layout(160)
  q, k, v = qkv(160, heads)
  number = block_masks.counts(0.8, blocks.video)
  index, count = block_masks.by_head(
    found(blocks, q, k, v), number, threshold=0.0, layout=blocks
  )
  attend = functools.partial(sparse.attend, layout=blocks, base=number.base)
  made = flops.count(lambda *a: attend(*a, index, count=count), q, k, v)
  whole = flops.count(attention.attend, q, k, v)
  assert made == whole * number.base // blocks.blocks


def test_bfloat16_is_summed_in_float32(qkv):
  blocks = layout(80)
  low = [jnp.asarray(a, jnp.bfloat16) for a in qkv(80)]
  index = block_masks.rows(found(blocks, *low), 6, blocks)
  out = sparse.attend(*low, index=index, layout=blocks)
  assert out.dtype == jnp.bfloat16
  mask = block_masks.mask(index, blocks)
  wanted = reference(*(np.float32(a) for a in low), mask, blocks)
  np.testing.assert_allclose(np.float32(out), wanted, atol=0.05)
