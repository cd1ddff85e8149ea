import pytest

from jmim.session.hooks import due as turns


@pytest.mark.parametrize(
  "every, total, steps",
  [
    (3, 8, [3, 6, 8]),
    (1, 3, [1, 2, 3]),
    (0, 5, [5]),
    (9, 5, [5]),
    (5, 5, [5]),
  ],
)
def test_every_so_many_steps_and_after_the_last(every, total, steps):
  found = [s for s in range(1, total + 1) if turns.due(s, every, total)]
  assert found == steps
