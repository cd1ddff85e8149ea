import jax
import numpy as np
import pytest

from jmim.nn import structure

SIDES = (6, 10)


@pytest.fixture(scope="module")
def table():
  return structure.positions(*SIDES)


def masks():
  """Three masks, the second over a part of the first; a corner is bare."""
  found = np.zeros((3, *SIDES), np.uint8)
  found[0, :4, :6] = 1
  found[1, 2:5, 3:8] = 1
  found[2, 5, :4] = 1
  return found


def test_positions_are_a_row_of_ones_turned_pair_by_pair(table):
  """Multiplication of 1 + i by e^(i p f), as rotary positions turn a pair."""
  rows, pairs = np.arange(SIDES[0]), np.arange(SIDES[1] // 2)
  angle = rows[:, None] * 10000.0 ** (-2 * pairs / SIDES[1])
  turned = (1 + 1j) * np.exp(1j * angle)
  np.testing.assert_allclose(table[:, ::2], turned.real, atol=1e-5)
  np.testing.assert_allclose(table[:, 1::2], turned.imag, atol=1e-5)
  np.testing.assert_array_equal(table[0], 1)


def test_an_odd_column_is_left_as_it_is():
  table = structure.positions(5, 7)
  np.testing.assert_array_equal(table[:, -1], 1)
  assert table.shape == (5, 7) and table[:, :-1].std() > 0.1


def test_a_mask_of_all_has_the_mean_of_all_positions(table):
  found = structure.of_masks([np.ones(SIDES)], SIDES)
  np.testing.assert_allclose(found, table.mean(), rtol=1e-6)


def test_disjoint_masks_share_their_union_s_value_by_area(table):
  """A mean over the whole image: values add, and a small region has little."""
  left, right = np.zeros(SIDES), np.zeros(SIDES)
  left[:, :2], right[:, 2:] = 1, 1
  found = structure.of_masks([left, right], SIDES)
  np.testing.assert_allclose(found[0, 0] + found[0, -1], table.mean(), 1e-5)
  own = table[:, :2].mean() * 2 / SIDES[1]
  np.testing.assert_allclose(found[0, 0], own, rtol=1e-5)


def test_the_last_mask_covers_and_the_first_keeps_its_whole_area(table):
  found, each = structure.of_masks(masks(), SIDES), masks() != 0
  value = [(table * m).sum() / table.size for m in each]
  wanted = np.zeros(SIDES)
  for m, v in zip(each, value, strict=True):
    wanted[m] = v
  np.testing.assert_allclose(found, wanted, atol=1e-6)
  assert found[3, 4] == found[4, 7] != found[0, 0]
  assert (found[~each.any(0)] == 0).all() and not each.any(0).all()


def test_ids_are_masks_that_do_not_overlap():
  ids = np.random.default_rng(0).integers(0, 5, (2, *SIDES))
  found = jax.jit(structure.of_ids, static_argnums=1)(ids, 4)
  for one, made in zip(ids, found, strict=True):
    each = [one == k for k in (1, 2, 3, 4)]
    wanted = structure.of_masks(each, SIDES)
    np.testing.assert_allclose(made, wanted, atol=1e-6)
    np.testing.assert_allclose(structure.of_labels(one), wanted, atol=1e-6)
    assert (np.asarray(made)[one == 0] == 0).all()


def test_ids_beyond_the_greatest_are_in_no_region():
  ids = np.array([[[1, 1], [7, 2]]])
  found = np.asarray(structure.of_ids(ids, 2))
  assert found[0, 1, 0] == 0 and (found[0, [0, 1], [0, 1]] != 0).all()
