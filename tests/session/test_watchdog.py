"""A run that stands still: what is said, and when it ends."""

import signal
import subprocess
import sys
import time

import pytest

from jmim.core import config as configs
from jmim.parallel import alarms
from jmim.parallel import hosts
from jmim.runlog import clock as clocks
from jmim.runlog import waits
from jmim.session import watchdog


@pytest.fixture
def kennel(monkeypatch):
  """Makes watchdogs that are closed; what they ended with."""
  made, codes = [], []

  def make(seconds=0.2, factor=3.0, kind=waits.STEP, **more):
    more = {"end": codes.append, "pause": 0.02, **more}
    dog = watchdog.Watchdog(seconds, factor, lambda kind: "Godot", **more)
    dog.turn_to(kind)
    made.append(dog)
    return dog

  yield make, codes
  for dog in made:
    dog.close()


def steps(dog, *lengths):
  for seconds in lengths:
    time.sleep(seconds)
    dog.step()


def until(true):
  end = time.monotonic() + 60
  while not true() and time.monotonic() < end:
    time.sleep(0.05)
  assert true()


def test_a_run_that_stands_still_says_why_and_ends_with_5(kennel, capfd):
  make, codes = kennel
  dog = make()
  steps(dog, 0.01, 0.01)
  until(lambda: codes)
  said = capfd.readouterr().err
  assert set(codes) == {5}
  for text in ("no step for 0 s", "Godot", "test_watchdog.py", "stall_factor"):
    assert text in said


def test_steps_that_go_on_are_left_alone(kennel, capfd):
  make, codes = kennel
  steps(make(), *[0.1] * 5)
  assert not codes and not capfd.readouterr().err


def test_the_slowest_step_is_the_measure_but_not_the_first(kennel):
  dog = kennel[0](seconds=1e-3)
  assert dog.limit() == pytest.approx(8e-3)  # the first may load much
  steps(dog, 0.2)
  steps(dog, 0.01)
  first = dog.limit()
  assert 0.03 <= first < 0.2
  steps(dog, 0.1, 0.01)
  assert 0.3 <= dog.limit() < 0.6


class Clock:
  """Goes on when it is told to, or a bit each time that it is looked at."""

  def __init__(self, runs=False):
    self.time, self.runs = 0.0, runs

  def __call__(self):
    self.time += 0.04 * self.runs
    return self.time


@pytest.fixture
def timed(kennel):
  """(a watchdog that waits 10 s, or 3 times as long as before; its clock)."""
  clock = Clock()
  return kennel[0](seconds=10, now=clock), clock


DAY = 24 * 3600
PROBE, FID = waits.evaluation("probe"), waits.evaluation("fid")


def test_what_is_no_step_has_a_measure_of_its_own(timed):
  dog, clock = timed
  steps(dog, 0.0, 0.0)
  with dog.during(PROBE):  # how long it takes nobody knows
    assert dog.limit() == DAY
    clock.time += 100
  assert dog.limit() == 10  # nor is that the time of a step
  with dog.during(PROBE):
    assert dog.limit() == 300
  with dog.during(FID):
    assert dog.limit() == DAY
  known = (waits.SAVE, waits.RESTORE, waits.TRACE, waits.LOOK, waits.WRITE)
  for kind in (*known, waits.FIRST_BATCH, waits.BATCH):  # the first one too
    with dog.during(kind):
      assert dog.limit() == 80
  with dog.during(waits.BATCH):  # which is a part of a step
    assert dog.limit() == 10


def test_what_is_done_within_something_has_its_own_measure(timed):
  """An evaluator that reads batches, and then fits a head for long."""
  dog, clock = timed
  steps(dog, 0.0, 0.0)
  with dog.during(PROBE):
    clock.time += 1
    with dog.during(waits.BATCH):
      assert dog.limit() == 80
      clock.time += 30
    clock.time += 2
    with dog.during(waits.BATCH):
      assert dog.limit() == 90
      clock.time += 5
    assert dog.limit() == DAY  # what it took so far says nothing of the rest
    clock.time += 1000
  assert dog.limit() == 10
  with dog.during(PROBE):
    assert dog.limit() == 3000  # the longest time without a sign


def test_what_comes_before_has_no_measure(kennel):
  clock = Clock()
  dog = kennel[0](seconds=10, kind=waits.START, now=clock)
  assert dog.limit() == DAY
  with dog.during(waits.RESTORE):
    clock.time += 3
  with dog.during(waits.START):
    clock.time += 3
  assert dog.limit() == DAY
  dog.turn_to(waits.END)
  assert dog.limit() == 80


def test_an_error_within_something_leaves_it(timed):
  dog, _ = timed
  steps(dog, 0.0, 0.0)
  with pytest.raises(KeyError), dog.during(PROBE), dog.during(waits.BATCH):
    raise KeyError
  assert dog.limit() == 10


def test_a_first_evaluation_that_never_ends_is_given_up(kennel, monkeypatch):
  monkeypatch.setattr(watchdog, "_FIRST", 0.1)
  make, codes = kennel
  dog = make(seconds=0.001)
  with dog.during(PROBE):
    until(lambda: codes)
  assert set(codes) == {5}


def test_zero_is_never(kennel):
  make, codes = kennel
  steps(make(seconds=0.01, factor=0), 0.01, 0.01, 0.1)
  assert not codes


def test_it_may_go_on_after_all(kennel, capfd):
  make, codes = kennel
  dog = make(factor=0.5)
  steps(dog, 0.01, 0.4)  # others have three such steps to say it too
  said, end = "", time.monotonic() + 20
  while "it goes on" not in said and time.monotonic() < end:
    time.sleep(0.05)
    said += capfd.readouterr().err
    if "Godot" in said:
      dog.step()
  assert "it goes on" in said and not codes


class Service:
  """JAX's, of two hosts."""

  def __init__(self):
    self.values = {}

  def key_value_set(self, key, value, allow_overwrite):
    self.values[key] = value

  def key_value_dir_get(self, folder):
    return [(k, v) for k, v in {**self.values}.items() if k.startswith(folder)]

  def key_value_delete(self, key):
    self.values.pop(key)


def pair(make, clock):
  """Watchdogs of two hosts who wait for years; the first has lost patience."""
  service, dogs = Service(), []
  for i in range(2):
    alarm = alarms.Alarm(service, i, 2)
    dogs.append(make(seconds=1e9, alarm=alarm, now=clock))
    steps(dogs[-1], 0.0, 0.0)
  dogs[0].limit = lambda: 1.0
  return dogs


def test_all_hosts_say_what_they_wait_for_before_one_ends(kennel, capfd):
  """The second, who would have waited for years, hears of it."""
  make, codes = kennel
  pair(make, Clock(runs=True))
  until(lambda: len(codes) >= 2)
  said = capfd.readouterr().err
  assert set(codes) == {5}
  assert said.count("waiting for Godot; its threads") >= 2
  assert "as host 0 stands still, waiting for Godot" in said


def test_a_host_that_goes_on_takes_the_other_with_it(kennel, capfd):
  make, codes = kennel
  clock = Clock()
  first, second = pair(make, clock)
  # Steps of days: what ends a run waits as long for others.
  first._slowest[waits.STEP] = second._slowest[waits.STEP] = 1e6
  clock.runs = True
  until(lambda: len(second._alarm.others()) == len(first._alarm.others()) == 1)
  first.limit = lambda: 1e12
  for dog in (first, second):
    dog.turn_to(PROBE)
  said = [""]

  def both_go_on():
    said[0] += capfd.readouterr().err
    return said[0].count("it goes on") == 2

  until(both_go_on)
  assert not codes and not first._alarm.others() | second._alarm.others()


def test_one_that_has_nothing_to_say_is_not_waited_for_for_ever(kennel):
  make, codes = kennel
  service = Service()
  dog = make(seconds=0.05, alarm=alarms.Alarm(service, 0, 2))
  steps(dog, 0.0, 0.0)
  until(lambda: codes)
  assert set(codes) == {5}


def test_one_of_a_run_knows_what_is_waited_for(monkeypatch):
  hardware = configs.base().hardware
  group, clock = hosts.Group(), clocks.Clock()
  with watchdog.watching(hardware, group, clock) as dog:
    assert dog._seconds == hardware.host_timeout
    assert dog._factor == hardware.stall_factor
    assert dog._doing(waits.STEP) == waits.DEVICES
    with clock.measure("input"):
      assert dog._doing(waits.STEP) == waits.BATCH.of
    with clock.measure("eval"):
      assert dog._doing(waits.SAVE) == waits.SAVE.of
    group.meeting = "ready (7)"
    assert dog._doing(waits.STEP) == "other hosts at 'ready (7)'"
  assert not dog._thread.is_alive()


def test_nobody_watches_nothing():
  dog = watchdog.nobody()
  with dog.during(waits.SAVE):
    dog.step()
  dog.close()
  assert not dog._thread.is_alive()


CODE = """
import time
from jmim.runlog import waits
from jmim.session import watchdog
dog = watchdog.Watchdog(0.5, 1.0, str, pause=0.05)
dog.turn_to(waits.STEP)
dog.step(), dog.step()
print("ready", flush=True)
for _ in range(10):
  time.sleep(0.05)
  dog.step()
"""


def test_a_process_that_was_suspended_did_not_wait():
  process = subprocess.Popen(
    [sys.executable, "-c", CODE],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  process.stdout.readline()
  process.send_signal(signal.SIGSTOP)
  time.sleep(1)
  process.send_signal(signal.SIGCONT)
  err = process.communicate()[1]
  assert (process.returncode, err) == (0, "")


def test_the_clock_knows_what_is_done():
  clock = clocks.Clock()
  with clock.measure("input"):
    assert clock.doing == "input"
  assert clock.doing == ""
