import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import compress


@pytest.fixture
def tokens():
  """[2, 9, 4] tokens and their sizes [2, 9], at least 1."""
  rng = np.random.default_rng(0)
  x = rng.normal(size=(2, 9, 4)).astype(np.float32)
  return x, (1 + rng.random((2, 9))).astype(np.float32)


# Order.


def test_importance_sorts_patches_behind_the_class_token():
  importance = jnp.asarray([[0.1, 0.4, 0.2], [0.3, 0.3, 0.5]])
  ids = compress.by_importance(importance)
  np.testing.assert_array_equal(ids, [[0, 2, 3, 1], [0, 3, 1, 2]])


def test_redundancy_is_the_mean_cosine_with_the_others(tokens):
  x = tokens[0]
  u = x / np.linalg.norm(x, axis=-1, keepdims=True)
  cosine = u @ u.swapaxes(1, 2)
  others = (cosine.sum(-1) - 1) / 8
  np.testing.assert_allclose(compress.redundancy(x), others, atol=1e-6)
  same = jnp.ones((1, 3, 4)).at[0, 2].set(jnp.asarray([1, -1, 0, 0]))
  np.testing.assert_allclose(
    compress.redundancy(same)[0], [0.5, 0.5, 0], atol=1e-6
  )


def test_the_most_redundant_are_dropped_and_the_rest_keeps_its_order():
  """Three tokens alike, one at right angles, one opposed."""
  x = jnp.asarray([[[1.0, 0], [0, 1], [2, 0], [-1, 0.1], [3, 0.0]]])
  ids = compress.least_redundant(x, 2)
  np.testing.assert_array_equal(ids, [[1, 3]])
  np.testing.assert_array_equal(compress.least_redundant(x, 5)[0], range(5))


def test_dropping_follows_a_permutation_of_the_tokens(tokens):
  x = tokens[0]
  order = np.random.default_rng(1).permutation(9)
  kept = np.asarray(compress.least_redundant(x, 4))
  moved = np.asarray(compress.least_redundant(x[:, order], 4))
  np.testing.assert_array_equal(np.sort(order[moved]), kept)


def test_counts_of_stages_are_the_published_ones():
  assert compress.stage_counts(196, 0.3, 3) == (137, 96, 67)
  assert compress.stage_counts(196, 0.0, 2) == (196, 196)


# Merging.


def test_a_merge_in_closed_form():
  """Two sources to one patch, none to the other; cls is never chosen."""
  x = jnp.asarray([[[1.0, 0], [0, 2], [1, 1], [0, 4], [0, 6]]])
  size = jnp.asarray([[1.0, 2, 1, 3, 1]])
  merged = compress.merge(x, size, 3)
  np.testing.assert_allclose(merged.similarity, [[1, 1]], atol=1e-6)
  # The plain mean, whatever the sizes: (2 + 4 + 6) / 3.
  np.testing.assert_allclose(merged.x, [[[1, 0], [0, 4], [1, 1]]], atol=1e-6)
  np.testing.assert_allclose(merged.size, [[1, 6, 1]], atol=1e-6)


def test_nothing_is_merged_into_the_class_token():
  x = jnp.asarray([[[1.0, 0], [0, 1], [5, 0.1]]])
  merged = compress.merge(x, jnp.ones((1, 3)), 2)
  np.testing.assert_array_equal(merged.x[0, 0], x[0, 0])
  assert merged.similarity[0, 0] < 0.1  # with the only patch


def test_sizes_are_kept_where_all_tokens_are_alike(tokens):
  x, size = jnp.ones((2, 9, 4)) * (1 + jnp.arange(9.0))[:, None], tokens[1]
  merged = compress.merge(x, size, 5)
  np.testing.assert_allclose(merged.similarity, 1, atol=1e-6)
  np.testing.assert_allclose(merged.size.sum(1), size.sum(1), rtol=1e-6)


def test_sizes_grow_by_sizes_times_cosines(tokens):
  x, size = tokens
  merged = compress.merge(x, size, 5)
  grown = (size[:, 5:] * merged.similarity).sum(1)
  np.testing.assert_allclose(
    merged.size.sum(1), size[:, :5].sum(1) + grown, rtol=1e-5
  )


@pytest.mark.parametrize("keep, alive", [(5, 9), (3, 7), (2, 2), (9, 9)])
def test_a_masked_merge_is_the_same_on_what_is_alive(tokens, keep, alive):
  x, size = tokens
  run = jax.jit(compress.merge_masked, static_argnames="clamp")
  out = run(x, size, keep=keep, alive=alive, clamp=False)
  if keep < alive:
    want = compress.merge(x[:, :alive], size[:, :alive], keep)
    np.testing.assert_allclose(out.x[:, :keep], want.x, atol=1e-6)
    np.testing.assert_allclose(out.size[:, :keep], want.size, atol=1e-6)
  else:
    np.testing.assert_array_equal(out.size, size)
  # The sources stay, and so does what was gone before.
  np.testing.assert_array_equal(out.x[:, keep:], x[:, keep:])
  np.testing.assert_array_equal(out.size[:, keep:], size[:, keep:])


def test_training_counts_a_source_as_one_at_least():
  """A source of cosine 0.6 adds 0.6 at inference, and 1 in training."""
  x, size = jnp.asarray([[[1.0, 0], [1, 0], [3, 4]]]), jnp.ones((1, 3))
  assert compress.merge(x, size, 2).size[0, 1] == pytest.approx(1.6)
  counts = dict(keep=2, alive=3)
  loose = compress.merge_masked(x, size, clamp=False, **counts)
  assert loose.size[0, 1] == pytest.approx(1.6)
  assert compress.merge_masked(x, size, **counts).size[0, 1] == 2


def test_no_gradient_goes_through_the_choice(tokens):
  x, size = tokens
  grad = jax.grad(lambda x: compress.merge(x, size, 5).size.sum())(x)
  assert np.abs(grad).max() == 0
  # Through the mean it does: 1 / count to each of its parts.
  grad = jax.grad(lambda x: compress.merge(x, size, 5).x.sum())(x)
  np.testing.assert_allclose(grad.sum((1, 2)), 4 * 5, rtol=1e-5)


# Masks that counts can be learned through.


def test_straight_through_has_one_value_and_the_other_gradient():
  value, grad = jax.value_and_grad(
    lambda x: compress.straight_through(jnp.ceil(x), x**2)
  )(jnp.float32(0.3))
  assert value == 1 and grad == pytest.approx(0.6)


def test_a_survival_mask_is_hard_and_has_the_soft_gradient():
  p = jnp.linspace(1, 0.1, 6)
  mask = lambda p, keep, alive: compress.survival_mask(p, keep, alive)
  np.testing.assert_array_equal(mask(p, 3, 5), [1, 1, 1, 0, 0, 1])
  np.testing.assert_array_equal(mask(p, 5, 5), jnp.ones(6))
  sums = lambda keep: jax.grad(lambda p: mask(p, keep, 5).sum())(p)
  np.testing.assert_array_equal(sums(3), jnp.ones(6))
  np.testing.assert_array_equal(sums(5), jnp.zeros(6))


def test_a_masked_softmax_is_the_softmax_of_what_is_left():
  logits = jax.random.normal(jax.random.key(0), (1, 2, 5, 5))
  mask = jnp.asarray([[1.0, 1, 0, 1, 0]])
  a = np.asarray(compress.masked_softmax(logits, mask))
  left = np.asarray([0, 1, 3])
  want = jax.nn.softmax(logits[..., left][:, :, left], axis=-1)
  np.testing.assert_allclose(a[:, :, left][..., left], want, atol=1e-5)
  assert a[:, :, left][..., [2, 4]].max() < 1e-5
  # A token that is gone sees itself and what is left.
  assert (a[:, :, 2, 2] > 1e-3).all() and (a[:, :, 2, 4] < 1e-5).all()
