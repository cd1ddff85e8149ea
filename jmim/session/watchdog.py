"""Ends a run that stands still: one host that is stuck keeps all waiting.

A read that never comes back, a device that does not answer: nothing raises, and
no signal of the cluster comes. A thread sees that no step is done for `factor`
times as long as the slowest one took, and `seconds`; it prints what is waited
for, with the stack of every thread, and ends the process with exit code 5.
"""

import contextlib
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator

import jax

from jmim.core import errors
from jmim.session import session as sessions

STEP, SAVE, TRACE, LOOK = "step", "save", "trace", "look at spikes"
# Times `seconds` that all but a step may take, and the first step: a host whose
# part of a checkpoint is written waits for the others' as long.
_PATIENCE = 8
# Seconds that what is of no kind above may take the first time. A probe on
# ImageNet takes hours; a pod that stands still is to cost no more than a day.
_FIRST = 24 * 3600.0
_NAMES = {
  "input": "a batch (the disk of the data, or its workers)",
  "checkpoint": "a checkpoint to be written",
  "eval": "an evaluation",
  "profile": "a trace to be written",
  "": "the devices, or another host's",
}


class Watchdog:
  """Watches from its making until it is closed."""

  def __init__(
    self,
    seconds: float,
    factor: float,
    doing: Callable[[], str],
    end: Callable[[int], object] = os._exit,
    pause: float | None = None,
  ):
    """Starts the thread.

    Args:
      seconds: a run may always stand still so long.
      factor: times the slowest that came before; 0: nothing is watched.
      doing: says what is waited for.
      end: called with the exit code.
      pause: seconds between two looks.
    """
    self._seconds, self._factor = seconds, factor
    self._doing, self._end = doing, end
    self._pause = pause or max(0.5, seconds / 60)
    self._kinds, self._mark, self._since = (STEP,), 0, time.monotonic()
    self._stepped = False
    self._slowest: dict[str, float] = {}
    self._closed = threading.Event()
    self._thread = threading.Thread(target=self._watch, daemon=True)
    if factor:
      self._thread.start()

  def close(self) -> None:
    """Ends the thread."""
    self._closed.set()
    if self._factor:
      self._thread.join()

  def step(self) -> None:
    """A step is done. The first, which loads much, is no measure for others."""
    self._next(STEP, count=self._stepped)
    self._stepped = True

  @contextlib.contextmanager
  def during(self, *kinds: str) -> Iterator[None]:
    """Within is no step, but what takes as long as others of these kinds.

    Several are done one after the other. How long one takes that is new, and
    none of those above, nobody knows: a day.
    """
    self._next(*kinds, count=False)
    try:
      yield
    finally:
      self._next(STEP)

  def _next(self, *kinds: str, count: bool = True) -> None:
    """What was done is over, what is of other kinds begins."""
    now = time.monotonic()
    if count:
      for kind in self._kinds:  # of several each took that long at most
        longest = max(self._slowest.get(kind, 0.0), now - self._since)
        self._slowest[kind] = longest
    self._kinds, self._since = kinds, now
    self._mark += 1

  def limit(self) -> float:
    """Seconds that what is done now may take."""
    return sum(map(self._limit, self._kinds))

  def _limit(self, kind: str) -> float:
    slowest = self._slowest.get(kind)
    if slowest is None and kind not in (STEP, SAVE, TRACE, LOOK):
      return max(_FIRST, _PATIENCE * self._seconds)
    measured = kind == STEP and slowest is not None
    least = self._seconds * (1 if measured else _PATIENCE)
    return max(least, self._factor * (slowest or 0.0))

  def _watch(self) -> None:
    """The thread."""
    mark, waited, last = self._mark, 0.0, time.monotonic()
    while not self._closed.wait(self._pause):
      now = time.monotonic()
      # While this process was suspended it has not waited.
      waited += min(now - last, 2 * self._pause)
      last = now
      if self._mark != mark:
        mark, waited = self._mark, 0.0
      elif waited > self.limit():
        self._bark(mark, waited)
        waited, last = 0.0, time.monotonic()

  def _bark(self, mark: int, waited: float) -> None:
    """Says what is waited for; ends unless it comes."""
    what = ", ".join(self._kinds)
    _print(
      f"host {jax.process_index()}: no {what} for {waited:.0f} s, "
      f"waiting for {self._doing()}; its threads:"
    )
    with contextlib.suppress(OSError):
      faulthandler.dump_traceback(file=2)
    # The others, who may be some steps ahead, are to say it too.
    grace = 3 * self._slowest.get(STEP, 0.0) + 2 * self._pause
    if self._closed.wait(grace):
      return
    if self._mark != mark:
      _print("it goes on")
      return
    _print(
      "hosts missing: ended, as the run stood still; if so long is right, "
      "raise hardware.host_timeout or hardware.stall_factor (0: never)"
    )
    self._end(errors.HOSTS_MISSING)


def _print(text: str) -> None:
  with contextlib.suppress(OSError):  # of a log that is full
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def watching(session: sessions.Session) -> Iterator[Watchdog]:
  """A watchdog on the steps of a run."""

  def doing() -> str:
    if meeting := session.group.meeting:
      return f"other hosts at '{meeting}'"
    return _NAMES.get(session.clock.doing, session.clock.doing)

  hardware = session.parts.config.hardware
  dog = Watchdog(hardware.host_timeout, hardware.stall_factor, doing)
  try:
    yield dog
  finally:
    dog.close()
