"""A run that stands still: what is said, and when it ends."""

import signal
import subprocess
import sys
import time

import pytest

from jmim.runlog import clock as clocks
from jmim.session import watchdog


@pytest.fixture
def kennel(monkeypatch):
  """Makes watchdogs that are closed; what they ended with."""
  made, codes = [], []

  def make(seconds=0.2, factor=3.0):
    dog = watchdog.Watchdog(
      seconds, factor, lambda: "Godot", codes.append, pause=0.02
    )
    made.append(dog)
    return dog

  yield make, codes
  for dog in made:
    dog.close()


def steps(dog, *lengths):
  for seconds in lengths:
    time.sleep(seconds)
    dog.step()


def test_a_run_that_stands_still_says_why_and_ends_with_5(kennel, capfd):
  make, codes = kennel
  dog = make()
  steps(dog, 0.01, 0.01)
  end = time.monotonic() + 20
  while not codes and time.monotonic() < end:
    time.sleep(0.05)
  said = capfd.readouterr().err
  assert codes and set(codes) == {5}
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


def test_what_is_no_step_has_a_measure_of_its_own(kennel):
  dog = kennel[0](seconds=0.01)
  steps(dog, 0.0, 0.0)
  with dog.during("probe"):  # how long it takes nobody knows
    assert dog.limit() == 24 * 3600
    time.sleep(0.1)
  assert dog.limit() == 0.01  # nor is that the time of a step
  with dog.during("probe"):
    assert 0.3 <= dog.limit() < 0.6
  with dog.during(watchdog.SAVE):
    assert dog.limit() == pytest.approx(0.08)
  for kind in (watchdog.TRACE, watchdog.LOOK):  # the first one too
    with dog.during(kind):
      assert dog.limit() == pytest.approx(0.08)


def test_what_was_done_together_is_known_apart(kennel):
  dog = kennel[0](seconds=0.01)
  steps(dog, 0.0, 0.0)
  with dog.during("probe", "fid"):
    assert dog.limit() == 48 * 3600
    time.sleep(0.1)
  for names, times in ((("probe",), 1), (("fid", "probe"), 2)):
    with dog.during(*names):
      assert 0.3 * times <= dog.limit() < 0.6 * times
  with dog.during("knn", "probe"):
    assert 24 * 3600 < dog.limit() < 24 * 3600 + 1


def test_a_first_evaluation_that_never_ends_is_given_up(kennel, monkeypatch):
  monkeypatch.setattr(watchdog, "_FIRST", 0.1)
  make, codes = kennel
  dog = make(seconds=0.001)
  with dog.during("probe"):
    end = time.monotonic() + 20
    while not codes and time.monotonic() < end:
      time.sleep(0.05)
  assert codes and set(codes) == {5}


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


CODE = """
import time
from jmim.session import watchdog
dog = watchdog.Watchdog(0.5, 1.0, str, pause=0.05)
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
