"""Blocks of I-JEPA and masks of CAE: what their cards state exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.masks import rectangles

KEY = jax.random.key(0)
GRID = (16, 16)
SCALES = ((0.15, 0.2), (0.75, 1.5), (0.85, 1.0))
ROLES = ("target_scale", "target_aspect", "context_scale")


def test_cells_are_those_of_the_rectangle():
  corner = jnp.asarray([[1, 2], [0, 0]])
  mask = np.asarray(rectangles.cells(corner, (2, 3), (4, 6))).reshape(2, 4, 6)
  expected = np.zeros((2, 4, 6), bool)
  expected[0, 1:3, 2:5] = True
  expected[1, :2, :3] = True
  np.testing.assert_array_equal(mask, expected)


def test_one_number_fixes_area_and_aspect():
  """u = 1/2 of 256 cells: floor(0.175 * 256) = 44 cells, aspect 1.125."""
  height, width = rectangles.block_size(0.5, GRID, *SCALES[:2])
  assert (height, width) == (
    round((44 * 1.125) ** 0.5),
    round((44 / 1.125) ** 0.5),
  )
  # No block is as large as the grid.
  assert rectangles.block_size(0.0, (4, 4), (1.0, 1.0), (1.0, 1.0)) == (3, 3)


def test_corners_are_uniform_and_leave_the_last_place_out():
  at = np.asarray(rectangles.corners(KEY, (4000,), (3, 2), (6, 7)))
  # I-JEPA's randint excludes its end: one place less than would fit.
  assert at.min(0).tolist() == [0, 0] and at.max(0).tolist() == [2, 4]
  counts = np.bincount(at[:, 1], minlength=5)
  assert (np.abs(counts - 800) < 4 * np.sqrt(800)).all()


def masks(n=200, seed=0, min_keep=10):
  scales = dict(zip(ROLES, SCALES, strict=True))
  make = lambda k: rectangles.multi_block(
    k, n, GRID, targets=4, **scales, min_keep=min_keep
  )
  return jax.tree.map(np.asarray, jax.jit(make)(jax.random.key(seed)))


def test_context_and_targets_are_disjoint_and_not_too_small():
  for seed in range(5):
    context, targets = masks(seed=seed)
    assert not (context & targets.any(1)).any()
    assert (context.sum(1) > 10).all()


def test_targets_are_rectangles_of_one_size_anywhere():
  _, targets = masks()
  sides = set()
  for mask in targets.reshape(-1, *GRID):
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert mask[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1].all()
    sides.add((len(rows), len(cols)))
  assert len(sides) == 1
  high, wide = sides.pop()
  assert 35 <= high * wide <= 54
  first = np.argwhere(targets.reshape(-1, *GRID).any(2).argmax(1) == 0)
  assert len(first) > 0  # the top row is reached
  assert rectangles.most_cells(GRID, *SCALES[:2]) == 54


def test_sizes_of_lists_are_those_of_the_authors_configuration():
  """16x16 grid, batch 16, as the authors' batches: about 82 and 44."""
  drawn = [masks(16, seed) for seed in range(40)]
  shortest = [c.sum(1).min() for c, _ in drawn]
  cells = [t[0, 0].sum() for _, t in drawn]
  assert abs(np.mean(shortest) - 82) < 8
  assert min(shortest) > 45 and max(shortest) < 120
  assert abs(np.mean(cells) - 44) < 3


def test_a_crowded_grid_lets_targets_overlap_the_context():
  """All but impossible to keep 150 of 256 tokens beside four targets."""
  context, targets = masks(50, min_keep=150)
  assert (context.sum(1) > 150).all()
  assert (context & targets.any(1)).any()


def test_ids_are_ascending_and_padding_is_marked():
  inside = np.random.default_rng(0).random((4, 9)) < 0.5
  lists, valid = jax.tree.map(np.asarray, rectangles.ids(inside, 7))
  for row, ids, ok in zip(inside, lists, valid, strict=True):
    np.testing.assert_array_equal(ids[ok], np.flatnonzero(row)[:7])


def test_block_wise_masks_have_exactly_the_count():
  make = jax.jit(jax.vmap(lambda k: rectangles.block_wise(k, (14, 14), 98)))
  drawn = np.asarray(make(jax.random.split(KEY, 32)))
  np.testing.assert_array_equal(drawn.sum(1), 98)
  assert len({row.tobytes() for row in drawn}) == 32
  # Clumped: a hidden patch has more hidden neighbours than by chance (1/2).
  grid = drawn.reshape(-1, 14, 14)
  beside = grid[:, :, 1:] & grid[:, :, :-1]
  assert beside.sum() / grid[:, :, 1:].sum() > 0.7


@pytest.mark.parametrize("masked", [1, 7, 15])
def test_small_grids_are_masked_too(masked):
  mask = rectangles.block_wise(KEY, (4, 4), masked)
  assert mask.sum() == masked


def test_scattered_cells_are_a_uniform_choice():
  make = jax.jit(jax.vmap(lambda k: rectangles.scattered(k, (3, 4), 5)))
  drawn = np.asarray(make(jax.random.split(KEY, 2000)))
  np.testing.assert_array_equal(drawn.sum(1), 5)
  share = drawn.mean(0)
  assert (np.abs(share - 5 / 12) < 4 * np.sqrt(0.25 / 2000)).all()


def test_a_hole_is_a_quarter_to_half_of_each_side_inside_of_the_image():
  u = np.random.default_rng(0).random((200, 4)).astype(np.float32)
  hole = np.asarray(rectangles.holes(u, 32))[..., 0]
  height, width = hole.max(2).sum(1), hole.max(1).sum(1)
  for extent in (height, width):
    assert extent.min() >= 7 and extent.max() <= 17
  np.testing.assert_array_equal(hole.sum((1, 2)), height * width)
