"""Ends a run that stands still: one host that is stuck keeps all waiting.

A read that never comes back, a device that does not answer: nothing raises, and
no signal of the cluster comes. A thread sees that what is done now takes longer
than it may (`waits.Kind`); it prints what is waited for, with the stack of
every thread, has the other hosts say the same of themselves, and ends the
process with exit code 5.
"""

import contextlib
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import jax

from jmim.core import errors
from jmim.parallel import alarms
from jmim.parallel import hosts
from jmim.runlog import clock as clocks
from jmim.runlog import waits

# Seconds that what nobody knows may take. A probe on ImageNet takes hours; a
# pod that stands still is to cost no more than a day.
_FIRST = 24 * 3600.0
# What is measured within a step.
_MEASURED = {
  "input": waits.BATCH.of,
  "checkpoint": waits.SAVE.of,
  "profile": waits.TRACE.of,
  "": waits.DEVICES,
}


class Watchdog:
  """Watches from its making until it is closed."""

  def __init__(
    self,
    seconds: float,
    factor: float,
    doing: Callable[[waits.Kind], str],
    *,
    end: Callable[[int], object] = os._exit,
    pause: float | None = None,
    alarm: alarms.Alarm | None = None,
    now: Callable[[], float] = time.monotonic,
  ):
    """Starts the thread.

    Args:
      seconds: a run may always stand still so long.
      factor: times the slowest that came before; 0: nothing is watched.
      doing: says whom something is waited for.
      end: called with the exit code.
      pause: seconds between two looks.
      alarm: of all hosts; None: this one is alone.
      now: seconds of a clock.
    """
    self._seconds, self._factor = seconds, factor
    self._doing, self._end, self._now = doing, end, now
    self._pause = pause or max(0.5, seconds / 60)
    self._alarm = alarm or alarms.Alarm()
    self._kind, self._mark, self._since = waits.START, 0, now()
    self._longest = 0.0  # seconds without a sign of what is done now
    self._stepped = False
    self._slowest: dict[waits.Kind, float] = {}
    self._closed = threading.Event()
    self._thread = threading.Thread(target=self._watch, daemon=True)
    if factor:
      self._thread.start()

  def close(self) -> None:
    """Ends the thread."""
    self._closed.set()
    if self._factor:
      self._thread.join()

  def turn_to(self, kind: waits.Kind) -> None:
    """From now on it is this kind that is done, but for what is `during`."""
    self._lap()
    self._kind, self._longest = kind, 0.0

  def step(self) -> None:
    """A step is done. The first, which loads much, is no measure for others."""
    spent = self._lap()
    if self._stepped:
      self._count(waits.STEP, spent)
    self._stepped = True

  @contextlib.contextmanager
  def during(self, kind: waits.Kind) -> Iterator[None]:
    """Within, something of a kind is done, and then what was done before.

    What is done within it has a measure of its own.
    """
    self._lap()
    outer, longest = self._kind, self._longest
    self._kind, self._longest = kind, 0.0
    try:
      yield
    finally:
      self._lap()
      self._count(kind, self._longest)
      self._kind, self._longest = outer, longest

  def _lap(self) -> float:
    """A sign of life; seconds since the last one."""
    now = self._now()
    spent, self._since = now - self._since, now
    self._longest = max(self._longest, spent)
    self._mark += 1
    return spent

  def _count(self, kind: waits.Kind, seconds: float) -> None:
    self._slowest[kind] = max(self._slowest.get(kind, 0.0), seconds)

  def limit(self) -> float:
    """Seconds without a sign that what is done now may take."""
    kind = self._kind  # of the main thread, which goes on
    slowest = self._slowest.get(kind)
    times = kind.first if slowest is None else kind.later
    least = times * self._seconds if times else max(_FIRST, 8 * self._seconds)
    return max(least, self._factor * (slowest or 0.0))

  def _watch(self) -> None:
    """The thread."""
    mark, waited, last = self._mark, 0.0, self._now()
    known: set[int] = set()  # hosts that stood still when this one looked
    while not self._closed.wait(self._pause):
      now = self._now()
      # While this process was suspended it has not waited.
      waited += min(now - last, 2 * self._pause)
      last = now
      if self._mark != mark:
        mark, waited = self._mark, 0.0
        continue
      others = self._alarm.others()
      if waited > self.limit() or others - known:
        self._bark(mark, waited, others)
        waited, last = 0.0, self._now()
      known = others

  def _bark(self, mark: int, waited: float, others: set[int]) -> None:
    """Says what is waited for; ends unless it comes."""
    _print(
      f"host {jax.process_index()}: no {self._kind.name} for {waited:.0f} s, "
      + "".join(f"as host {i} stands still, " for i in sorted(others)[:1])
      + f"waiting for {self._doing(self._kind)}; its threads:"
    )
    with contextlib.suppress(OSError):
      faulthandler.dump_traceback(file=2)
    self._alarm.ring()
    if self._comes(mark, others):
      self._alarm.silence()
      if self._mark != mark or others:
        _print("it goes on")
      return
    _print(
      "hosts missing: ended, as the run stood still; if so long is right, "
      "raise hardware.host_timeout or hardware.stall_factor (0: never)"
    )
    self._alarm.leave(self._seconds)
    self._end(errors.HOSTS_MISSING)

  def _comes(self, mark: int, others: set[int]) -> bool:
    """Waits for what is waited for, until all hosts have said what that is.

    Args:
      mark: of the last sign of life.
      others: hosts that this one has heard of, if it is not the first.

    Returns:
      Whether it came; also where nobody waits for it any more.
    """
    # They may be some steps ahead, or slower to see it.
    soon = self._now() + 3 * self._slowest.get(waits.STEP, 0.0)
    soon += 2 * self._pause
    late = soon + (0.0 if self._alarm.alone else self._seconds)
    while True:
      closed = self._closed.wait(min(1.0, self._pause))
      told = self._alarm.all_ring()
      if self._mark != mark:
        return True
      # An error of the devices here may be the end of another host there.
      if closed and not (told and not self._alarm.alone):
        return True
      if others and not self._alarm.others():
        return True
      now = self._now()
      if closed or now > late or (told and now > soon):
        return False


def _print(text: str) -> None:
  with contextlib.suppress(OSError):  # of a log that is full
    print(text, file=sys.stderr, flush=True)


def nobody() -> Watchdog:
  """One that watches nothing."""
  return Watchdog(0.0, 0.0, lambda kind: kind.of)


@contextlib.contextmanager
def watching(
  hardware: Mapping[str, Any],
  group: hosts.Group,
  clock: clocks.Clock | None = None,
) -> Iterator[Watchdog]:
  """A watchdog on what is done here.

  Args:
    hardware: the section `config.hardware`.
    group: the processes of the run.
    clock: knows what is measured, of a run with steps.
  """

  def doing(kind: waits.Kind) -> str:
    if meeting := group.meeting:
      return f"other hosts at '{meeting}'"
    measured = clock.doing if clock else ""
    return kind.of or _MEASURED.get(measured, measured)

  dog = Watchdog(
    hardware["host_timeout"],
    hardware["stall_factor"],
    doing,
    alarm=group.alarm(),
  )
  try:
    yield dog
  finally:
    dog.close()
