"""Processes that `crash_test` starts on a workdir, and ends."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

from jmim.tools import crash_watch

# What a second process may come to, by its exit code. It had come too early or
# too late to be refused if it ends well, or if it is still there.
ENDS = {2: "refused", 0: "found the end", None: "went on"}


class Child:
  """A run in processes of its own.

  Attributes:
    log: file of what it prints.
    watch: of its phases.
    processes: the first of which writes the phases.
  """

  def __init__(
    self, config: str, workdir: pathlib.Path, flags: Sequence[str], count: int
  ):
    """Starts it.

    Args:
      config: recipe.
      workdir: of the run.
      flags: more arguments of jmim.main.
      count: processes.
    """
    self.log = workdir.with_suffix(".log")
    self.watch = crash_watch.Watch(workdir)
    self.watch.log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "jmim.tools.crash_child"]
    common = [f"--config={config}", f"--workdir={workdir}", *flags]
    single = [[]]  # flags of each process
    if count > 1:
      where = f"--coordinator=127.0.0.1:{_free_port()}"
      single = [
        [where, f"--processes={count}", f"--process={i}"] for i in range(count)
      ]
    phases = [self.watch.log, *[os.devnull] * (count - 1)]
    self._file = self.log.open("w", encoding="utf-8")
    self.processes = [
      subprocess.Popen(
        [*command, str(path), *common, *more],
        stdout=self._file,
        stderr=subprocess.STDOUT,
        start_new_session=True,
      )
      for path, more in zip(phases, single, strict=True)
    ]

  def running(self) -> bool:
    """Whether one of its processes is."""
    return any(p.poll() is None for p in self.processes)

  def wait(self, seconds: float = 1e9) -> list[int] | None:
    """Exit codes, once it has ended; None if it has not within `seconds`."""
    end = time.monotonic() + seconds
    try:
      return [p.wait(max(0.0, end - time.monotonic())) for p in self.processes]
    except subprocess.TimeoutExpired:
      return None

  def kill(self, number: int) -> tuple[str, float]:
    """Kills one process: the run's phase, seconds until the others ended."""
    os.killpg(self.processes[number].pid, signal.SIGKILL)
    start, phase = time.monotonic(), self.watch.now()
    for process in self.processes:
      process.wait()
    self._file.close()
    return phase, time.monotonic() - start

  def last_line(self) -> str:
    """The last line it printed."""
    lines = [
      x for x in self.log.read_text(encoding="utf-8").splitlines() if x.strip()
    ]
    return lines[-1].strip()[:60] if lines else "nothing printed"


def _free_port() -> int:
  with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    return probe.getsockname()[1]


class Second:
  """Another process on the workdir of a run that trains."""

  def __init__(self, config: str, workdir: pathlib.Path, flags: Sequence[str]):
    """Starts it; see `Child`."""
    command = [sys.executable, "-m", "jmim.main", f"--config={config}"]
    self.log = workdir.with_suffix(".second.log")
    with self.log.open("w", encoding="utf-8") as file:
      self._process = subprocess.Popen(
        [*command, f"--workdir={workdir}", *flags],
        stdout=file,
        stderr=subprocess.STDOUT,
        start_new_session=True,
      )

  def end(self) -> str:
    """Kills it if it has not ended; what became of it: one of ENDS, or not."""
    code = self._process.poll()
    with contextlib.suppress(ProcessLookupError):
      os.killpg(self._process.pid, signal.SIGKILL)
    self._process.wait()
    return ENDS.get(code, f"exit code {code}, see {self.log}")
