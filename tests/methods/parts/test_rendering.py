import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import randomness
from jmim.methods.parts import rendering

CODES = np.array([[0, 3, 1], [2, 2, 0]])


def test_the_next_code_is_named_and_then_the_end():
  part = rendering.NextCode()
  assert part.one_way and part.draw(None, (2, 3)) == {}
  assert part.sampling.top_p == 0.8
  task = part.task(CODES, {})
  np.testing.assert_array_equal(task.ids, [[2, 5, 8, 6], [2, 7, 7, 5]])
  np.testing.assert_array_equal(task.targets, [[5, 8, 6, 2], [7, 7, 5, 2]])
  assert task.scored.all()


def test_hidden_codes_are_named_where_they_are():
  part = rendering.HiddenCodes()
  draws = part.draw(randomness.Keys(jax.random.key(0)), (2, 3))
  draws = draws | {"r": np.array([0.999, 0.0])}
  masked = np.asarray(part.masks.masked(draws))
  assert masked.sum(1).tolist() == [1, 3] and not part.one_way
  task = part.task(CODES, draws)
  whole = np.array([[2, 5, 8, 6], [2, 7, 7, 5]])
  np.testing.assert_array_equal(task.targets, whole)
  np.testing.assert_array_equal(task.scored[:, 1:], masked)
  assert not task.scored[:, 0].any()
  np.testing.assert_array_equal(task.ids, np.where(task.scored, 3, whole))


def test_schedules_are_checked_by_their_keys():
  rendering.NextCode().check()
  part = rendering.HiddenCodes()
  part.check()
  for name in ("masks", "sampling"):
    with pytest.raises(ValueError, match=f"render.{name}.schedule"):
      field.replace(part, **{name: dict(schedule="no")}).check()
