"""What a run is doing, seen from outside: where `crash_test` aims its kills.

The run logs what it begins (`crash_child`); its saving and deleting go on in
threads, and are seen by what they leave in the folder of checkpoints.
"""

import collections
import pathlib
import time
from collections.abc import Callable

PHASES = ("start", "compile", "step", "evaluation", "save", "clean-up")
_TICK = 2e-3  # seconds between two looks


class Watch:
  """Looks at one run.

  Attributes:
    log: the file into which the run writes its phases.
  """

  def __init__(self, workdir: pathlib.Path):
    """Keeps where the run leaves its traces."""
    self.log = workdir.with_suffix(".phases")
    self._checkpoints = workdir / "checkpoints"

  def now(self) -> str:
    """One of PHASES, or another name that the clock has."""
    try:
      logged = self.log.read_text(encoding="utf-8").split()[-1]
    except (FileNotFoundError, IndexError):
      return "start"
    if logged in ("start", "compile"):  # the folder is as a kill left it
      return logged
    names = [p.name for p in self._checkpoints.iterdir()]
    if "trash" in names:
      return "clean-up"
    saving = any("orbax-checkpoint-tmp" in name for name in names)
    return "save" if saving else logged

  def reaches(self, phase: str, nth: int, running: Callable[[], bool]) -> bool:
    """Waits until a phase begins for the nth time; False: it never did."""
    before, count = "", 0
    while running():
      now = self.now()
      if now != before and now == phase:
        count += 1
        if count == nth:
          return True
      before = now
      time.sleep(_TICK)
    return False

  def until(self, running: Callable[[], bool]) -> dict[str, list[float]]:
    """Phase -> seconds it lasted, each time, until the run has ended."""
    durations = collections.defaultdict(list)
    before, since = "start", time.monotonic()
    while running():
      now = self.now()
      if now != before:
        durations[before].append(time.monotonic() - since)
        before, since = now, time.monotonic()
      time.sleep(_TICK)
    durations[before].append(time.monotonic() - since)
    return dict(durations)
