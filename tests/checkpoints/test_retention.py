import hypothesis
import hypothesis.strategies as st
import pytest

from jmim.checkpoints import retention

STEPS = st.sets(st.integers(1, 200), min_size=1)


@hypothesis.given(STEPS, st.integers(1, 9), st.integers(0, 9))
def test_the_newest_and_every_nth_stay(steps, newest, every):
  stay = retention.keep(steps, newest, every)
  assert stay <= steps and max(steps) in stay
  assert set(sorted(steps)[-newest:]) <= stay
  for step in steps - set(sorted(steps)[-newest:]):
    assert (step in stay) == bool(every and step % every == 0)


@pytest.mark.parametrize("highest, best", [(True, 2), (False, 1)])
def test_the_best_stays(highest, best):
  values = {1: 0.25, 2: 0.5, 3: float("nan"), 9: 7.0}
  stay = retention.keep(
    [1, 2, 3, 4], 1, every=0, values=values, highest=highest
  )
  assert stay == {best, 4}


def test_of_two_equals_the_later():
  assert retention.keep([1, 2, 3], 1, 0, {1: 5.0, 2: 5.0}) == {2, 3}
