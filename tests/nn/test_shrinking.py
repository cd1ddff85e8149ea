import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import token_counts
from jmim.nn import block
from jmim.nn import shrinking

BLOCK = shrinking.Block(heads=2, mlp_ratio=2.0)
KEEP = lambda state, importance: state


@pytest.fixture(scope="module")
def case():
  """Tokens [2, 6, 8] and the parameters of a plain block."""
  plain = block.Block(heads=2, mlp_ratio=2.0)
  x = jax.random.normal(jax.random.key(0), (2, 6, 8))
  return x, plain, jax.jit(plain.init)(jax.random.key(1), x)


def test_without_a_change_it_is_the_plain_block_bit_for_bit(case):
  x, plain, params = case
  drop = jnp.asarray([[0.0, 2.0], [1.5, 1.0]])
  want, taps = plain.apply(params, x, drop=drop, taps=("attention",))
  state = {"x": x, "size": None}
  state, importance = BLOCK.apply(params, state, KEEP, drop)
  np.testing.assert_array_equal(state["x"], want)
  own = taps["attention"][:, :, 0, 1:].mean(1)
  np.testing.assert_allclose(importance, own, atol=1e-6)


def test_a_token_of_size_two_is_two_tokens(case):
  x, _, params = case
  twice = jnp.concatenate([x, x[:, -1:]], axis=1)
  size = jnp.ones((2, 6)).at[:, -1].set(2)
  want, _ = BLOCK.apply(params, {"x": twice, "size": None}, KEEP)
  out, _ = BLOCK.apply(params, {"x": x, "size": size}, KEEP)
  np.testing.assert_allclose(out["x"], want["x"][:, :6], atol=1e-5)


def test_a_negative_size_is_not_nan(case):
  x, _, params = case
  size = jnp.ones((2, 6)).at[:, 3].set(-0.1)
  out, _ = BLOCK.apply(params, {"x": x, "size": size}, KEEP)
  assert np.isfinite(out["x"]).all()


def test_a_mask_hides_tokens_from_those_that_are_left(case):
  x, _, params = case
  mask = jnp.ones((2, 6)).at[:, 4:].set(0)
  state = {"x": x, "size": jnp.ones((2, 6)), "mask": mask}
  out, _ = BLOCK.apply(params, state, KEEP)
  want, _ = BLOCK.apply(params, {"x": x[:, :4], "size": None}, KEEP)
  np.testing.assert_allclose(out["x"][:, :4], want["x"], atol=1e-4)


def test_removing_sorts_prunes_and_merges():
  x = jnp.asarray([[[9.0, 9], [1, 0], [0, 1], [0, 3], [5, 5]]])
  importance = jnp.asarray([[0.1, 0.4, 0.2, 0.05]])
  state = {"x": x, "size": None}
  same = shrinking.remove(state, importance, prune=5, merge=5)
  assert same is state
  out = shrinking.remove(state, importance, prune=4, merge=3)
  # By importance: patches 2, 3, 1; patch 1 = (1, 0) has cosine 0 with both.
  assert out["x"].shape == (1, 3, 2)
  np.testing.assert_allclose(out["x"][0, 0], [9, 9])
  out = shrinking.remove(state, importance, prune=3, merge=5)
  np.testing.assert_array_equal(out["x"], x[:, [0, 2, 3]])
  assert out["size"] is None


@pytest.mark.parametrize("prune, merge", [(5, 3), (4, 6), (6, 6), (3, 3)])
def test_hiding_leaves_what_removing_leaves(prune, merge):
  x = jax.random.normal(jax.random.key(0), (2, 6, 4))
  importance = jax.random.uniform(jax.random.key(1), (2, 5))
  ones, n = jnp.ones((2, 6)), min(prune, merge)
  state = {"x": x, "size": ones, "mask": ones, "alive": jnp.int32(6)}
  counts = token_counts.Counts(
    prune=jnp.float32(prune),
    merge=jnp.float32(merge),
    prune_survival=jnp.full(6, 0.5),
    merge_survival=jnp.full(6, 0.5),
  )
  out = jax.jit(lambda s, i: shrinking.hide(s, i, counts=counts, clamp=False))(
    state, importance
  )
  want = shrinking.remove(
    {"x": x, "size": ones}, importance, prune=prune, merge=merge
  )
  assert int(out["alive"]) == n
  np.testing.assert_array_equal(out["mask"][:, :n], 1)
  np.testing.assert_array_equal(out["mask"][:, n:], 0)
  if n < 6:
    np.testing.assert_allclose(out["x"][:, :n], want["x"], atol=1e-6)
    np.testing.assert_allclose(out["size"][:, :n], want["size"], atol=1e-6)
