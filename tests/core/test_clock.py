import pytest

from jmim.core import clock


class Time:
  """A clock that is set by hand."""

  def __init__(self):
    self.now = 100.0

  def __call__(self):
    return self.now


def test_laps_sum_each_activity_and_start_anew():
  time = Time()
  c = clock.Clock(time)
  for seconds in (2.0, 3.0):
    with c.measure("input"):
      time.now += seconds
  with c.measure("eval"):
    time.now += 7.0
  time.now += 1.0
  assert c.lap() == {"input": 5.0, "eval": 7.0, "total": 13.0}
  time.now += 4.0
  assert c.lap() == {"total": 4.0}


def test_a_failing_activity_is_counted_and_its_error_passed_on():
  time = Time()
  c = clock.Clock(time)
  with pytest.raises(KeyError), c.measure("input"):
    time.now += 2.0
    raise KeyError
  assert c.lap()["input"] == 2.0


@pytest.mark.parametrize(
  "seconds, text",
  [
    (0, "0s"),
    (12.4, "12s"),
    (59.6, "1m 00s"),
    (320, "5m 20s"),
    (3900, "1h 05m"),
    (360000, "100h 00m"),
    (-3, "0s"),
  ],
)
def test_human(seconds, text):
  assert clock.human(seconds) == text
