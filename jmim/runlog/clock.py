"""Where the wall time goes: between two log lines, and in the whole run."""

import collections
import contextlib
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

# Activities whose share of the run's time so far is in a log line.
STEPS, START, RESTART = "steps", "start", "restart"
PARTS = (
  STEPS,
  "input",
  "compile",
  "eval",
  "checkpoint",
  "profile",
  START,
  RESTART,
)


class Clock:
  """Sums seconds per activity ("input", "eval", "checkpoint", ...).

  Unmeasured time is time of steps. The sums of a run go on over its restarts:
  a `snapshot` is kept with each checkpoint.

  Attributes:
    doing: the activity that is measured now, or "".
  """

  def __init__(
    self,
    now: Callable[[], float] = time.perf_counter,
    today: Callable[[], float] = time.time,
  ):
    """Starts the first window; the two clocks can be replaced in tests."""
    self._now, self._today = now, today
    self._last = self._began = now()
    self._window = collections.Counter()
    self._run = collections.Counter()
    self.doing = ""
    self._before = 0.0  # seconds of the run before `_began`

  @contextlib.contextmanager
  def measure(
    self, name: str, hidden: Callable[[], bool] = lambda: False
  ) -> Iterator[None]:
    """Counts the body's wall time under `name`; bodies do not nest.

    Args:
      name: of the activity.
      hidden: called after the body; if true, the time overlapped device work
        and is not charged to `name`.
    """
    start, self.doing = self._now(), name
    try:
      yield
    finally:
      self.doing = ""
      spent = self._now() - start
      if not hidden():
        self._window[name] += spent
        self._run[name] += spent

  def lap(self) -> dict[str, float]:
    """Seconds per activity since the last lap, with "total"; then resets."""
    now = self._now()
    spent = {**self._window, "total": now - self._last}
    self._last = now
    self._window.clear()
    return spent

  def begin_steps(self) -> None:
    """Attributes all unmeasured time so far to START."""
    self._run[START] += self._rest()

  def seconds(self) -> dict[str, float]:
    """Seconds of the run per activity of PARTS, since it began."""
    steps = self._run[STEPS] + self._rest()
    return {name: self._run[name] for name in PARTS} | {STEPS: steps}

  def _rest(self) -> float:
    total = self._before + self._now() - self._began
    return max(0.0, total - self._run.total())

  def shares(self) -> dict[str, float]:
    """Shares of the run's wall time per activity of PARTS; they sum to 1."""
    seconds = self.seconds()
    total = max(sum(seconds.values()), 1e-9)
    return {name: value / total for name, value in seconds.items()}

  def snapshot(self) -> dict[str, Any]:
    """What a checkpoint keeps, as JSON values; see `resume`."""
    return {"seconds": self.seconds(), "time": self._today()}

  def resume(self, snapshot: Mapping[str, Any]) -> None:
    """Goes on from a checkpoint.

    The time since it is RESTART, whatever was done in it: steps that are lost,
    waiting for a machine, loading. That needs clocks of hosts that agree; one
    that is behind makes it 0.

    Args:
      snapshot: from the checkpoint; empty if that is of a version that kept
        none, which changes nothing.
    """
    if not snapshot:
      return
    self._run = collections.Counter(snapshot["seconds"])
    self._run[RESTART] += max(0.0, self._today() - snapshot["time"])
    self._before, self._began = self._run.total(), self._now()


def human(seconds: float) -> str:
  """Shown like 1h 05m, 5m 20s or 12s."""
  seconds = max(0, round(seconds))
  hours, minutes = seconds // 3600, seconds // 60 % 60
  if hours:
    return f"{hours}h {minutes:02d}m"
  if minutes:
    return f"{minutes}m {seconds % 60:02d}s"
  return f"{seconds}s"
