import numpy as np
import pytest

from jmim.diffusion import respace


def test_spacings():
  np.testing.assert_array_equal(
    respace.spaced(100, "ddim10"), np.arange(0, 100, 10)
  )
  np.testing.assert_array_equal(
    respace.spaced(60, "7"), [round(i * 59 / 6) for i in range(7)]
  )
  np.testing.assert_array_equal(
    respace.spaced(20, "3,2"), [0, 4, 9, 10, 19]
  )  # 4.5 rounds to even
  np.testing.assert_array_equal(respace.leading(1000, 5)[[0, -1]], [800, 0])
  np.testing.assert_array_equal(respace.trailing(1000, 4), [999, 749, 499, 249])
  for bad in ("ddim51", "101", "60,60"):
    with pytest.raises(ValueError, match="times"):
      respace.spaced(100, bad)


@pytest.mark.parametrize("count", [1, 7, 62, 125, 999, 1000])
def test_countdown_ends_at_zero_exactly_once(count):
  visited = respace.countdown(1000, count)
  assert visited[0] == 999 and visited[-1] == 0
  assert (np.diff(visited) < 0).all()
  assert len(visited) <= count + 1 + 1000 // count


def test_countdown_of_125_makes_126_calls():
  visited = respace.countdown(1000, 125)
  assert len(visited) == 126 and list(visited[-2:]) == [7, 0]


@pytest.mark.parametrize("name", respace.SPACINGS)
def test_visited_descends_within_the_times(name):
  visited = respace.visited(name, 1000, 50)
  assert (np.diff(visited) < 0).all()
  assert visited[0] <= 999 and visited[-1] >= 0
  with pytest.raises(ValueError, match="sampling steps"):
    respace.visited(name, 10, 11)
