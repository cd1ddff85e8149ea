import numpy as np
import pytest

from jmim.diffusion import respace
from jmim.diffusion import schedule


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


def test_leading_offset_is_one_later_and_has_exactly_as_many_times():
  """Diffusers' DDIM of Stable Diffusion: 30 steps begin at 958, not at 991."""
  visited = respace.visited("leading_offset", 1000, 30)
  assert len(visited) == 30 and list(visited[[0, -1]]) == [958, 1]
  assert set(np.diff(visited)) == {-33}
  assert len(respace.visited("offset", 1000, 30)) == 31
  assert respace.end("leading_offset") == respace.end("offset") == 0
  with pytest.raises(ValueError, match="time 5 of 5"):
    respace.visited("leading_offset", 5, 5)


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


def test_quadratic_times_are_dense_near_data_and_there_once():
  """The list of DDIM's code, whose first times are the same."""
  roots = np.linspace(0, np.sqrt(0.8 * 100), 20)
  listed = [int(s) for s in list(roots**2)]
  assert len(set(listed)) < len(listed)
  visited = respace.visited("quadratic", 100, 20)
  assert list(visited) == sorted(set(listed), reverse=True)
  gaps = -np.diff(respace.visited("quadratic", 1000, 10))
  assert gaps.sum() == 800 and (np.diff(gaps) < 0).all()


def test_rounded_times_are_one_more_and_hold_both_ends():
  visited = respace.visited("rounded", 1000, 100)
  assert len(visited) == 101 and list(visited[[0, -1]]) == [999, 0]
  assert list(visited[:2]) == [999, 989]  # 989.01 loses its fraction
  every = respace.visited("rounded", 7, 7)
  np.testing.assert_array_equal(every, np.arange(7)[::-1])


def test_a_stride_gives_exactly_as_many_times():
  for count in (2, 5, 20):
    visited = respace.visited("stride", 20, count)
    assert len(visited) == count and visited[-1] == 0
    assert len(set(np.diff(visited))) <= 1
  with pytest.raises(ValueError, match="no integer stride gives 6 of 20"):
    respace.visited("stride", 20, 6)


@pytest.mark.parametrize("name", ["stride", "quadratic"])
def test_a_respaced_process_keeps_the_signal_of_its_times(name):
  process = schedule.make("linear", 1000)
  kept = respace.visited(name, 1000, 50)[::-1]
  fewer = process.respaced(kept)
  np.testing.assert_allclose(fewer.power, process.power[kept], rtol=1e-9)


# As the released code of LaVin-DiT has them, to four places.
TWENTY = (
  *(0, 0.0056, 0.0111, 0.0167, 0.0222, 0.0278, 0.0333, 0.0389, 0.0444, 0.05),
  *(0.0524, 0.0730, 0.1148, 0.1777, 0.2618, 0.3671, 0.4936, 0.6412, 0.81, 1),
)


def test_linear_quadratic_times_are_the_published_ones():
  np.testing.assert_allclose(respace.linear_quadratic(20), TWENTY, atol=5.1e-5)


@pytest.mark.parametrize("points", [4, 20, 30, 40])
def test_half_of_linear_quadratic_times_are_even_and_near_noise(points):
  times = respace.linear_quadratic(points)
  first, second = np.split(times, 2)
  assert len(times) == points and times[0] == 0 and times[-1] == 1
  np.testing.assert_allclose(np.diff(first), 0.05 / (points // 2 - 1))
  roots = np.sqrt((second - 0.05) / 0.95)
  np.testing.assert_allclose(np.diff(roots, 2), 0, atol=1e-9)
  assert (np.diff(times) > 0).all()


@pytest.mark.parametrize("points", [2, 21])
def test_linear_quadratic_times_come_in_two_halves(points):
  with pytest.raises(ValueError, match=f"not {points}"):
    respace.linear_quadratic(points)
