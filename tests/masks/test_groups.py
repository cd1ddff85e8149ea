import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.masks import groups
from jmim.masks import tokens as masking


def _assign(b, n, group, seed=0):
  scores = np.random.default_rng(seed).random((b, n))
  return np.asarray(groups.assignment(jnp.asarray(scores), group))


@pytest.mark.parametrize(
  "n, group, counts",
  [(16, 4, {4}), (196, 4, {49}), (9, 2, {4, 5}), (5, 5, {1})],
)
def test_every_source_fills_its_share(n, group, counts):
  assign = _assign(6, n, group)
  found = np.stack([(assign == s).sum(1) for s in range(group)], 1)
  assert set(found.ravel()) == counts
  np.testing.assert_array_equal(found.sum(1), n)
  assert len(np.unique(assign, axis=0)) > 1


@pytest.mark.parametrize("b", [8, 7, 5, 2])
def test_kept_sets_of_a_group_partition_the_positions(b):
  group, n = 4, 9
  assign = _assign(b, n, group)
  mask = groups.split(jnp.asarray(assign), group)
  hidden = np.asarray(mask.mask)
  for i in range(b):
    np.testing.assert_array_equal(
      hidden[i] == 0, assign[i - i % group] == i % group
    )
    own = int((hidden[i] == 0).sum())
    np.testing.assert_array_equal(
      mask.keep[i][:own], np.flatnonzero(hidden[i] == 0)
    )
  for first in range(0, b - group + 1, group):
    visible = 1 - hidden[first : first + group]
    np.testing.assert_array_equal(visible.sum(0), 1)


def test_the_last_group_is_filled_from_the_front():
  x = np.arange(5)
  wanted = [[0, 1], [2, 3], [4, 0]]
  np.testing.assert_array_equal(groups.gather(x, 2), wanted)
  np.testing.assert_array_equal(groups.gather(x[:4], 2), wanted[:2])
  np.testing.assert_array_equal(groups.gather(x[:1], 3), [[0, 0, 0]])


def test_a_mixed_image_has_each_patch_of_the_image_assigned(normal):
  images, assign = normal(2, 3, 6, 4, 1), _assign(2, 6, 3)
  mixed = groups.mix(jnp.asarray(images), jnp.asarray(assign), 2)
  for g, i in np.ndindex(2, 6):
    y, x = 2 * (i // 2), 2 * (i % 2)
    np.testing.assert_array_equal(
      mixed[g, y : y + 2, x : x + 2],
      images[g, assign[g, i], y : y + 2, x : x + 2],
    )


def test_tokens_go_back_to_where_they_came_from(normal):
  b, group, n = 5, 2, 6
  x, assign = normal(3, 1 + n, 4), _assign(b, n, group)
  mask = groups.split(jnp.asarray(assign), group)
  found = groups.scatter(jnp.asarray(x), group, mask)
  np.testing.assert_array_equal(found[:, 0], x[[0, 0, 1, 1, 2], 0])
  back = masking.restore(found[:, 1:], jnp.zeros((1, 1, 4)), mask)
  for i in range(b):
    own = assign[i - i % group] == i % group
    np.testing.assert_array_equal(back[i], x[i // 2, 1:] * own[:, None])
  # Each of its numbers is in one image of the group, and gets one gradient.
  gradient = jax.grad(lambda x: groups.scatter(x, group, mask)[:, 1:].sum())
  np.testing.assert_array_equal(gradient(jnp.asarray(x))[:2, 1:], 1)


def test_a_share_is_a_mean_over_own_positions():
  values = jnp.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
  own = jnp.asarray([[1, 0, 1], [0, 1, 0], [1, 1, 1]])
  np.testing.assert_allclose(groups.share(values, own, 2), [2, 2, 5])
