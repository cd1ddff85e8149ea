import json

import pytest

from jmim.runlog import clock


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


def test_what_was_hidden_behind_something_else_is_not_counted():
  time = Time()
  c = clock.Clock(time)
  for hidden in (True, False):
    with c.measure("input", hidden=lambda hidden=hidden: hidden):
      time.now += 2.0
  assert c.seconds() == dict.fromkeys(clock.PARTS, 0) | {
    "input": 2.0,
    "steps": 2.0,
  }
  assert c.lap() == {"input": 2.0, "total": 4.0}


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


def run_of(*spent, now=None, snapshot=None, today=1000.0):
  """A clock after these (activity, seconds); None: steps."""
  time = now or Time()
  c = clock.Clock(time, lambda: today)
  if snapshot is not None:
    c.resume(snapshot)
  for name, seconds in spent:
    if name is None:
      time.now += seconds
    elif name == clock.START:
      time.now += seconds
      c.begin_steps()
    else:
      with c.measure(name):
        time.now += seconds
  return c


def test_the_shares_of_a_run_sum_to_one_whatever_the_laps():
  c = run_of(("compile", 3.0), ("start", 1.0), (None, 4.0), ("input", 2.0))
  expected = {"compile": 3.0, "start": 1.0, "steps": 4.0, "input": 2.0}
  assert {k: v for k, v in c.seconds().items() if v} == expected
  c.lap()
  assert {k: v for k, v in c.seconds().items() if v} == expected
  shares = c.shares()
  assert set(shares) == set(clock.PARTS)
  assert sum(shares.values()) == pytest.approx(1)
  assert shares["steps"] == pytest.approx(0.4)


def test_a_resumed_run_goes_on_and_what_was_lost_is_restart():
  before = run_of((None, 6.0), ("eval", 2.0), today=1000.0).snapshot()
  # 30 s after the checkpoint; what was done meanwhile does not matter.
  c = run_of(("start", 1.0), (None, 5.0), snapshot=before, today=1030.0)
  found = {k: v for k, v in c.seconds().items() if v}
  assert found == {"steps": 11.0, "eval": 2.0, "start": 1.0, "restart": 30.0}
  assert json.loads(json.dumps(c.snapshot())) == c.snapshot()
  again = run_of((None, 1.0), snapshot=c.snapshot(), today=1040.0).seconds()
  assert (again["steps"], again["restart"]) == (12.0, 40.0)


def test_going_back_within_a_process_makes_the_time_since_restart():
  time, today = Time(), Time()
  c = clock.Clock(time, today)
  time.now, today.now = time.now + 4, today.now + 4
  snapshot = c.snapshot()
  with c.measure("input"):
    time.now, today.now = time.now + 5, today.now + 5
  c.resume(snapshot)
  time.now, today.now = time.now + 1, today.now + 1
  assert {k: v for k, v in c.seconds().items() if v} == {
    "steps": 5.0,
    "restart": 5.0,
  }


def test_a_clock_that_is_behind_and_a_checkpoint_without_one():
  snapshot = run_of((None, 6.0), today=1000.0).snapshot()
  c = run_of((None, 1.0), snapshot=snapshot, today=900.0)
  assert c.seconds()["restart"] == 0 and c.seconds()["steps"] == 7.0
  assert run_of((None, 1.0), snapshot={}).seconds()["steps"] == 1.0
