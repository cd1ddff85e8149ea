"""Where the seconds of a run of tests go: by folder, and the longest files.

The suite has to stay under 25 minutes on two cores; this shows what to shorten.
"""

import collections
import pathlib

LONG = 60.0  # a run that took less has no table
FILES = 12


class Seconds:
  """Adds up what every test took, its fixtures included, over all workers."""

  def __init__(self):
    self.files: dict[str, float] = collections.defaultdict(float)

  def pytest_runtest_logreport(self, report):
    """Called once each for the start, the test itself and the end."""
    self.files[report.nodeid.partition("::")[0]] += report.duration

  def pytest_terminal_summary(self, terminalreporter):
    """Prints the table."""
    if sum(self.files.values()) >= LONG:
      terminalreporter.section("seconds of tests")
      for line in self.lines():
        terminalreporter.line(line)

  def lines(self) -> list[str]:
    """Folders, then the longest files, most seconds first."""
    folders = collections.defaultdict(float)
    for name, seconds in self.files.items():
      parts = pathlib.PurePath(name).parts[1:]  # without tests/
      folders[parts[0] if len(parts) > 1 else "."] += seconds
    most = lambda pairs: sorted(pairs.items(), key=lambda kv: -kv[1])
    return [
      f"{sum(self.files.values()):7.0f} all",
      *(f"{s:7.0f} {n}/" for n, s in most(folders)),
      *(f"{s:7.0f} {n}" for n, s in most(self.files)[:FILES]),
    ]
