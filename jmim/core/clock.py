"""Where the wall time goes between two log lines."""

import collections
import contextlib
import time


class Clock:
  """Sums seconds per activity ("input", "eval", "checkpoint", ...)."""

  def __init__(self, now=time.perf_counter):
    """Starts the first window; `now` can be replaced in tests."""
    self._now = now
    self.start = self._last = now()
    self._spent = collections.Counter()

  @contextlib.contextmanager
  def measure(self, name: str):
    """Counts the body's wall time under `name`."""
    start = self._now()
    try:
      yield
    finally:
      self._spent[name] += self._now() - start

  def lap(self) -> dict[str, float]:
    """Seconds per activity since the last lap, with "total"; then resets."""
    now = self._now()
    spent = {**self._spent, "total": now - self._last}
    self._last = now
    self._spent.clear()
    return spent


def human(seconds: float) -> str:
  """Shown like 1h 05m, 5m 20s or 12s."""
  seconds = max(0, round(seconds))
  hours, minutes = seconds // 3600, seconds // 60 % 60
  if hours:
    return f"{hours}h {minutes:02d}m"
  if minutes:
    return f"{minutes}m {seconds % 60:02d}s"
  return f"{seconds}s"
