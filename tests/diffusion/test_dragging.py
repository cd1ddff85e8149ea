"""Features and masks of two branches, against loops."""

import jax.numpy as jnp
import numpy as np
import pytest

from jmim.diffusion import dragging

RNG = np.random.default_rng(0)
SIDE = 4
N = SIDE * SIDE
normal = lambda *shape: RNG.normal(size=shape).astype(np.float32)
TARGET, SOURCE = normal(2, N, 3), normal(2, N, 3)
OLD = np.zeros((2, SIDE, SIDE), bool)
OLD[:, :2, :2] = True
NEW = np.roll(OLD, (1, 2), (1, 2)).reshape(2, N)
OLD = OLD.reshape(2, N)
BY = np.array([[2, 1], [2, 1]])


def test_buckets_are_one_noise_or_one_of_each_step():
  assert (dragging.buckets(50, 1) == 0).all()
  np.testing.assert_array_equal(dragging.buckets(7, 7), np.arange(7))
  five = dragging.buckets(50, 5)
  np.testing.assert_array_equal(np.bincount(five), [10] * 5)
  assert (np.diff(five) >= 0).all()
  assert set(dragging.buckets(7, 3)) == {0, 1, 2}
  for count in (0, 8):
    with pytest.raises(ValueError, match=f"buckets={count} of 7"):
      dragging.buckets(7, count)


def test_shifted_tokens_come_from_where_they_were():
  x = SOURCE.reshape(2, SIDE, SIDE, 3)
  by = np.array([[1, -1], [-2, 0]])
  found = np.asarray(dragging.shifted(jnp.asarray(SOURCE), by, SIDE))
  found = found.reshape(x.shape)
  for b, (dx, dy) in enumerate(by):
    for row in range(SIDE):
      for column in range(SIDE):
        at = np.clip([row - dy, column - dx], 0, SIDE - 1)
        wanted = x[b, at[0], at[1]]
        np.testing.assert_array_equal(found[b, row, column], wanted)


def test_anchored_all_the_way_is_the_source_with_the_thing_moved():
  found = np.asarray(
    dragging.anchored(TARGET, SOURCE, OLD, NEW, by=BY, share=1.0)
  )
  there = ~OLD & ~NEW
  np.testing.assert_array_equal(found[there], SOURCE[there])
  np.testing.assert_array_equal(found[NEW], SOURCE[OLD])
  left = OLD & ~NEW
  assert left.any()
  np.testing.assert_array_equal(found[left], TARGET[left])


def test_anchored_by_a_share_is_between():
  none, half, whole = (
    np.asarray(dragging.anchored(TARGET, SOURCE, OLD, NEW, by=BY, share=a))
    for a in (0.0, 0.5, 1.0)
  )
  np.testing.assert_array_equal(none, TARGET)
  np.testing.assert_allclose(half, (none + whole) / 2, atol=1e-6)


def test_nearest_is_that_of_a_loop():
  found = np.asarray(dragging.nearest(TARGET, SOURCE, OLD))
  for b in range(2):
    for p in range(N):
      t = TARGET[b, p] / np.linalg.norm(TARGET[b, p])
      best = max(
        (q for q in range(N) if OLD[b, q]),
        key=lambda q: t @ SOURCE[b, q] / np.linalg.norm(SOURCE[b, q]),  # noqa: B023
      )
      np.testing.assert_array_equal(found[b, p], SOURCE[b, best])


def test_of_none_nothing_is_copied():
  none = np.zeros_like(OLD)
  found = dragging.nearest(TARGET, SOURCE, none)
  np.testing.assert_array_equal(found, TARGET)


def test_copies_of_the_thing_and_of_the_rest_stay_apart():
  found = np.asarray(dragging.copied(TARGET, SOURCE, OLD, NEW, rest=True))
  alone = np.asarray(dragging.copied(TARGET, SOURCE, OLD, NEW, rest=False))
  np.testing.assert_array_equal(found[NEW], alone[NEW])
  np.testing.assert_array_equal(alone[~NEW], TARGET[~NEW])
  for b in range(2):
    rows = lambda mask: {tuple(x) for x in SOURCE[b][mask[b]]}  # noqa: B023
    assert {tuple(x) for x in found[b][NEW[b]]} <= rows(OLD)
    assert {tuple(x) for x in found[b][~NEW[b]]} <= rows(~OLD)


def test_of_equal_features_a_copy_is_the_identity():
  """Nothing is dragged, and both branches have the same features."""
  found = dragging.copied(SOURCE, SOURCE, OLD, OLD, rest=True)
  np.testing.assert_array_equal(found, SOURCE)


def test_grown_masks_reach_a_few_cells_further():
  mask = np.zeros((1, 9, 9), bool)
  mask[0, 4, 1] = True
  found = np.asarray(dragging.grown(mask, 2))
  wanted = np.zeros_like(mask)
  wanted[0, 2:7, :4] = True
  np.testing.assert_array_equal(found, wanted)
  np.testing.assert_array_equal(dragging.grown(mask, 0), mask)


def test_feathers_fall_off_within_the_mask():
  mask = np.zeros((1, 12, 12), bool)
  mask[0, :, 2:10] = True
  found = np.asarray(dragging.feathered(mask, 1))
  assert (found[~mask] == 0).all() and (found[mask] > 0).all()
  row = found[0, 6]
  np.testing.assert_allclose(row[2:6], [1 / 3, 2 / 3, 1, 1], atol=1e-6)
  np.testing.assert_allclose(found[0], np.tile(row, (12, 1)), atol=1e-6)
  np.testing.assert_array_equal(dragging.feathered(mask, 0), mask)
