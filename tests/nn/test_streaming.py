import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import streaming

B, H, D = 2, 3, 4
# Tokens and block: whole blocks, a short last one, a block that is too large.
SIZES = [(12, 4), (11, 4), (5, 8), (6, 1)]


def reference(q, k, v):
  """(output, lse, W) in float64."""
  q, k, v = (np.asarray(a, np.float64) for a in (q, k, v))
  z = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
  lse = np.log(np.exp(z).sum(-1))
  w = np.exp(z - lse[..., None])
  return w @ v, lse, w


def sums(w, block):
  """[b, h, t, t] summed over blocks."""
  edges = np.arange(0, w.shape[-1], block)
  return np.add.reduceat(np.add.reduceat(w, edges, axis=-1), edges, axis=-2)


@pytest.fixture
def qkv(normal):
  return lambda t: [2 * normal(B, H, t, D, seed=i) for i in range(3)]


@pytest.mark.parametrize(("t", "block"), SIZES)
def test_output_lse_and_sums_equal_those_of_all_logits_at_once(qkv, t, block):
  out, lse, found = jax.jit(streaming.search, static_argnums=3)(*qkv(t), block)
  wanted, wanted_lse, w = reference(*qkv(t))
  np.testing.assert_allclose(out, wanted, atol=1e-5)
  np.testing.assert_allclose(lse, wanted_lse, atol=1e-5)
  np.testing.assert_allclose(found, sums(w, block), atol=1e-5)


@pytest.mark.parametrize(("t", "block"), SIZES)
def test_a_row_of_sums_is_the_tokens_of_its_block(qkv, t, block):
  found = streaming.search(*qkv(t), block)[2].sum(-1)
  rows = np.minimum(block, t - block * np.arange(-(-t // block)))
  np.testing.assert_allclose(
    found, np.broadcast_to(rows, found.shape), rtol=1e-5
  )


def test_sums_by_a_kept_lse_are_those_of_the_search(qkv):
  q, k, v = qkv(11)
  _, lse, found = streaming.search(q, k, v, 4)
  np.testing.assert_array_equal(
    streaming.block_sums(q, k, lse=lse, block=4), found
  )


def test_sums_by_an_lse_of_other_keys_are_relative_to_it(qkv):
  q, k, v = qkv(8)
  _, lse, found = streaming.search(q, k, v, 4)
  shifted = streaming.block_sums(q, k, lse=lse - np.log(2.0), block=4)
  np.testing.assert_allclose(shifted, 2 * found, rtol=1e-5)


def test_a_constant_on_every_logit_of_a_row_changes_the_lse_alone(qkv):
  q, k, v = qkv(11)
  shift = np.float32([1.0, -2.0, 0.5, 3.0])
  out, lse, found = streaming.search(q, k, v, 4)
  moved = streaming.search(q, k + shift, v, 4)
  np.testing.assert_allclose(moved[0], out, atol=1e-5)
  np.testing.assert_allclose(moved[2], found, atol=1e-5)
  np.testing.assert_allclose(moved[1] - lse, q @ shift / 2, atol=1e-5)


def test_logits_of_thousands_are_finite(qkv):
  q, k, v = qkv(8)
  out, lse, _ = streaming.search(200 * q, 200 * k, v, 4)
  best = np.argmax(q @ np.swapaxes(k, -1, -2), -1)
  np.testing.assert_allclose(
    out, np.take_along_axis(v, best[..., None], 2), atol=1e-3
  )
  assert np.isfinite(lse).all()


def test_keys_not_seen_count_nothing_wherever_they_come(qkv):
  q, k, v = qkv(8)
  hidden = jnp.full((B, H, 8, 8), streaming.FLOOR)
  z = streaming.logits(q, k)
  first = streaming.begun((B, H, 8), D).add(hidden, v).add(z, v)
  last = streaming.begun((B, H, 8), D).add(z, v).add(hidden, v)
  wanted, lse, _ = reference(q, k, v)
  for running in (first, last):
    np.testing.assert_allclose(running.mean, wanted, atol=1e-5)
    np.testing.assert_allclose(running.lse, lse, atol=1e-5)


def test_logits_of_bfloat16_are_scaled_in_float32(normal):
  """A width whose root is no power of two."""
  q, k = (jnp.asarray(normal(1, 1, 8, 6, seed=i), jnp.bfloat16) for i in (0, 1))
  wide = [np.float64(np.float32(a)) for a in (q, k)]
  wanted = wide[0] @ np.swapaxes(wide[1], -1, -2) / np.sqrt(6)
  found = streaming.logits(q, k)
  np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_bfloat16_is_summed_in_float32(qkv):
  low = [jnp.asarray(a, jnp.bfloat16) for a in qkv(64)]
  out, lse = streaming.attend(*low, 4)
  wanted, wanted_lse, _ = reference(*(np.float32(a) for a in low))
  assert out.dtype == jnp.bfloat16
  assert lse.dtype == jnp.float32
  np.testing.assert_allclose(lse, wanted_lse, atol=0.02)
  np.testing.assert_allclose(np.float32(out), wanted, atol=0.05)
