import jax
import numpy as np
import pytest

from jmim.methods.parts import multi_block

GRID = (16, 16)
KEY = jax.random.key(0)


def test_lengths_are_those_of_the_largest_blocks():
  # 256 cells: targets of at most 0.2, with an aspect of 1.5 of 9 x 6.
  assert multi_block.MultiBlock().lengths(GRID) == (225, 54)
  cut = multi_block.MultiBlock(context_tokens=112)
  assert cut.lengths(GRID) == (112, 54)
  longer = multi_block.MultiBlock(context_tokens=300)
  assert longer.lengths(GRID) == (225, 54)


def test_lists_hold_distinct_cells_and_say_which_are_padding():
  part = multi_block.MultiBlock(targets=3)
  draws = jax.jit(lambda key: part.draw(key, 5, GRID))(KEY)
  draws = jax.tree.map(np.asarray, draws)
  assert draws["context"].shape == (5, 1, 225)
  assert draws["targets"].shape == (5, 3, 54)
  for b in range(5):
    context = draws["context"][b, 0][draws["context_valid"][b, 0]]
    assert len(set(context)) == len(context) > part.min_keep
    for t in range(3):
      cells = draws["targets"][b, t][draws["targets_valid"][b, t]]
      assert len(set(cells)) == len(cells)
      assert not set(cells) & set(context)


def test_a_cut_context_is_the_beginning_of_the_whole_one():
  whole = multi_block.MultiBlock().draw(KEY, 2, GRID)
  cut = multi_block.MultiBlock(context_tokens=40).draw(KEY, 2, GRID)
  np.testing.assert_array_equal(cut["context"], whole["context"][..., :40])
  assert cut["context_valid"].all()
  np.testing.assert_array_equal(cut["targets"], whole["targets"])


@pytest.mark.parametrize(
  "changes, message",
  [
    (dict(target_aspect=(0.0, 1.0)), "target_aspect"),
    (dict(context_scale=(1.0, 0.5)), "context_scale"),
    (dict(min_keep=225), "min_keep 225 of 225 tokens"),
    (dict(context_tokens=10), "min_keep 10 of 10 tokens"),
  ],
)
def test_what_no_grid_can_have_is_named(changes, message):
  with pytest.raises(ValueError, match=message):
    multi_block.MultiBlock(**changes).check(GRID)


@pytest.mark.parametrize(
  "grid, changes, name",
  [
    ((4, 4), dict(target_scale=(0.05, 0.2)), "target_scale"),
    ((8, 8), dict(target_scale=(0.01, 0.2)), "target_scale"),
    (
      (8, 8),
      dict(target_scale=(0.02, 0.2), target_aspect=(0.1, 8.0)),
      "target",
    ),
    ((4, 4), dict(context_scale=(0.01, 1.0)), "context_scale"),
  ],
)
def test_blocks_that_round_to_nothing_are_named(grid, changes, name):
  blocks = multi_block.MultiBlock(min_keep=0, **changes)
  with pytest.raises(ValueError, match=f"{name}.* no patch"):
    blocks.check(grid)
  multi_block.MultiBlock(min_keep=0).check(grid)
