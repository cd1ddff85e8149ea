"""Far and near points, groups, distances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial

from jmim.nn import points


def cloud(b=2, n=30, seed=0):
  return np.random.default_rng(seed).normal(size=(b, n, 3)).astype(np.float32)


def farthest_by_hand(x, count, least):
  """The loop of the authors' kernel, of one cloud."""
  chosen, distance = [0], np.full(len(x), 1e10, np.float32)
  for _ in range(1, count):
    best, found = -1.0, 0
    for k, p in enumerate(x):
      if (p**2).sum() <= least:
        continue
      distance[k] = min(distance[k], ((p - x[chosen[-1]]) ** 2).sum())
      if distance[k] > best:
        best, found = distance[k], k
    chosen.append(found)
  return chosen


@pytest.mark.parametrize("least", [points.NEAR_ORIGIN, 0.5, -1.0])
def test_farthest_points_are_those_of_the_kernel(least):
  x = cloud()
  x[:, 5] = 1e-3
  x[:, 0] = 0.01
  found = points.farthest(jnp.asarray(x), 25, least)
  for mine, one in zip(np.asarray(found), x, strict=True):
    assert mine.tolist() == farthest_by_hand(one, 25, least)


def test_points_near_the_origin_are_skipped_but_for_the_first():
  x = cloud(1, 12)
  x[0, 0], x[0, 3] = 1e-3, 2e-3
  found = np.asarray(points.farthest(jnp.asarray(x), 12))[0]
  assert found[0] == 0 and 3 not in found
  every = np.asarray(points.farthest(jnp.asarray(x), 12, least=-1.0))[0]
  assert sorted(every) == list(range(12))


def test_neighbours_are_those_of_a_tree_and_begin_with_the_point_itself():
  x = cloud(1, 40)
  index, distances = points.neighbours(jnp.asarray(x), jnp.asarray(x), 7)
  wanted, at = scipy.spatial.cKDTree(x[0]).query(x[0], 7)
  np.testing.assert_array_equal(index[0], at)
  np.testing.assert_allclose(distances[0], wanted**2, rtol=1e-4, atol=1e-6)
  np.testing.assert_array_equal(index[0, :, 0], np.arange(40))
  assert not np.asarray(distances[0, :, 0]).any()


def test_equally_near_points_come_in_their_order():
  x = jnp.asarray([[[1.0, 0, 0], [-1.0, 0, 0], [0, 1.0, 0], [0, 0, 2.0]]])
  index, _ = points.neighbours(jnp.zeros((1, 1, 3)), x, 4)
  assert index[0, 0].tolist() == [0, 1, 2, 3]


def test_groups_hold_their_centre_and_levels_stand_on_each_other():
  x = jnp.asarray(cloud(2, 40))
  levels = points.divide(x, (16, 8), (5, 3))
  below = x
  for level in levels:
    np.testing.assert_array_equal(level.below, below)
    np.testing.assert_array_equal(level.members[:, :, 0], level.centres)
    assert not np.asarray(level.relative[:, :, 0]).any()
    below = level.centres


def test_what_is_seen_below_are_the_members_of_visible_groups():
  near = jnp.asarray([[[0, 1], [2, 3]], [[4, 1], [3, 2]]])
  visible = jnp.asarray([[False, True], [True, False]])
  seen = np.asarray(points.seen_below(near, visible, 5))
  np.testing.assert_array_equal(np.flatnonzero(seen[0]), [2, 3])
  np.testing.assert_array_equal(np.flatnonzero(seen[1]), [1, 4])
  leaky = np.asarray(points.seen_below(near, visible, 5, leak=True))
  np.testing.assert_array_equal(np.flatnonzero(leaky[0]), [0, 2, 3])
  np.testing.assert_array_equal(leaky[1], seen[1])
  none_hidden = jnp.ones((2, 2), bool)
  whole = points.seen_below(near, none_hidden, 5, leak=True)
  np.testing.assert_array_equal(whole, points.seen_below(near, none_hidden, 5))


def test_the_chamfer_distance_of_a_cloud_with_itself_is_0_and_symmetric():
  a, b = jnp.asarray(cloud(3, 20)), jnp.asarray(cloud(3, 31, 1))
  assert not np.asarray(points.chamfer(a, a[:, ::-1])).any()
  np.testing.assert_allclose(
    points.chamfer(a, b), points.chamfer(b, a), rtol=1e-6
  )
  square = ((np.asarray(a)[:, :, None] - np.asarray(b)[:, None]) ** 2).sum(-1)
  wanted = square.min(1).mean(1) + square.min(2).mean(1)
  np.testing.assert_allclose(points.chamfer(a, b), wanted, rtol=1e-5)


def test_features_at_their_own_places_are_themselves():
  places = jnp.asarray(cloud(2, 9))
  x = jnp.asarray(np.random.default_rng(2).normal(size=(2, 9, 4)), jnp.float32)
  np.testing.assert_allclose(points.spread(x, places, places), x, atol=1e-4)


def test_between_places_the_nearer_counts_more():
  places = jnp.asarray([[[0.0, 0, 0], [3.0, 0, 0], [9.0, 0, 0], [99.0, 0, 0]]])
  x = jnp.asarray([[[1.0], [0.0], [0.0], [5.0]]])
  query = jnp.asarray([[[1.0, 0, 0]]])
  near = np.array([1.0, 1 / 4, 1 / 64])
  found = points.spread(x, places, query)[0, 0, 0]
  np.testing.assert_allclose(found, near[0] / near.sum(), rtol=1e-5)


def test_a_maximum_and_where_its_gradient_goes():
  x = jnp.asarray([[[1.0, 5.0], [3.0, 5.0], [2.0, 4.0]]])
  np.testing.assert_array_equal(points.most(x), [[3.0, 5.0]])
  g = jax.grad(lambda x: (points.most(x) * jnp.asarray([2.0, 7.0])).sum())(x)
  np.testing.assert_array_equal(g[0], [[0, 7], [2, 0], [0, 0]])  # the first
