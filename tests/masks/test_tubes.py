import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.masks import tubes

KEY = jax.random.key(0)


@pytest.mark.parametrize("side, hidden", [(14, 176), (16, 230)])
def test_tubes_hide_the_same_cells_at_all_steps(side, hidden):
  """The hidden count is rounded down: int(0.9 * 196), int(0.9 * 256)."""
  mask = tubes.tube(jax.random.uniform(KEY, (3, side**2)), 0.9, 8)
  steps = np.asarray(mask).reshape(3, 8, -1)
  assert (steps == steps[:, :1]).all() and (steps[:, 0].sum(1) == hidden).all()


def test_the_smallest_scores_are_hidden():
  scores = jnp.asarray([[0.3, 0.1, 0.4, 0.2]])
  mask = tubes.tube(scores, 0.5, 2)
  np.testing.assert_array_equal(mask, [[False, True, False, True] * 2])


@pytest.mark.parametrize("ratio, left", [(0.25, 1), (0.5, 2), (0.75, 3)])
def test_cells_run_through_the_video(ratio, left):
  mask = tubes.running_cell(jnp.arange(4), ratio, 8, (4, 6))
  maps = np.asarray(mask).reshape(4, 8, 4, 6)
  # In every frame the same share; in any four steps every place as often.
  assert (maps.sum((2, 3)) == 24 * left // 4).all()
  for start in range(5):
    assert (maps[:, start : start + 4].sum(1) == left).all()
  cells = maps.reshape(4, 8, 2, 2, 3, 2)
  assert (cells == cells[:, :, :1, :, :1]).all()
  # A later phase is a later time.
  np.testing.assert_array_equal(maps[1, :-1], maps[0, 1:])


def test_the_first_step_by_hand():
  """q = 1 1 0 0; the k-th place has q[(k + phase + 1) mod 4] at t = 0."""
  q = [1, 1, 0, 0]
  for phase in range(4):
    mask = tubes.running_cell(jnp.asarray([phase]), 0.5, 1, (2, 2))
    expected = [q[(k + phase + 1) % 4] for k in range(4)]
    np.testing.assert_array_equal(np.asarray(mask)[0].astype(int), expected)
