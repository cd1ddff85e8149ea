"""Hostile files, and what is watched while one is opened.

Memory is the peak of this process, as the system counts it, above what it held
before; a file that never ends is ended by a timer.
"""

import contextlib
import dataclasses
import pathlib
import signal
import time
from collections.abc import Callable
from typing import Any

SECONDS = 5  # for any file; they take milliseconds
MIB = 2**20


class TooLong(BaseException):
  """Not an Exception, which readers of damaged files may take for damage."""


@dataclasses.dataclass(frozen=True)
class File:
  """One hostile file.

  Attributes:
    name: what is wrong with it.
    write: writes it into a folder and returns its path.
    open: what a user does with it.
    says: regex of the message; "": it is opened all the same.
  """

  name: str
  write: Callable[[pathlib.Path], pathlib.Path]
  open: Callable[[pathlib.Path], Any]
  says: str


def _memory(name: str) -> int:
  for line in pathlib.Path("/proc/self/status").read_text().splitlines():
    if line.startswith(name):
      return int(line.split()[1]) * 1024
  raise KeyError(name)


@dataclasses.dataclass
class Watched:
  """What it took: seconds, and bytes above those before."""

  seconds: float = 0.0
  memory: int = 0


@contextlib.contextmanager
def watch(seconds: float = SECONDS):
  """Yields a `Watched`, filled when the block ends, however it does."""
  pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak is now
  before, start, found = _memory("VmRSS"), time.monotonic(), Watched()

  def end(*_):
    raise TooLong

  handler = signal.signal(signal.SIGALRM, end)
  signal.setitimer(signal.ITIMER_REAL, seconds)
  try:
    yield found
  finally:
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, handler)
    found.seconds = time.monotonic() - start
    found.memory = _memory("VmHWM") - before
