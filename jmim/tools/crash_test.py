"""Kills a run at random moments and compares its end with an untouched one.

    python -m jmim.tools.crash_test --config=configs/mae_digits.py --kills=50

A child run is killed with SIGKILL after a random time and started again, until
it is done; then another one begins, until there were enough kills. Every
finished run must have the same arrays (their checksums), the same lines in
metrics.jsonl and the same values in TensorBoard as one that was let alone;
what the clock says is not compared. One line per kill, a verdict, exit code 0
if all agree.

With --processes=2 the run has two processes on this machine; one of them is
killed, and the others have to end by themselves.

--config.KEY=VALUE is passed on to the runs.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from jmim.core import checkpoint
from jmim.core import events
from jmim.core import meter
from jmim.core import writer


def fingerprint(workdir: pathlib.Path) -> dict[str, str]:
  """Hashes of what a run left: its "arrays", "metrics" and "board".

  Raises:
    UserError: its newest checkpoint is damaged.
  """
  store = checkpoint.Checkpoints(workdir, write=False)
  try:
    step = store.latest()
    store.read(step, "params")  # which compares them with their checksums
    arrays = store.meta(step)["arrays"]
  finally:
    store.close()
  lines = [
    {k: v for k, v in line.items() if not meter.is_time(k)}
    for line in writer.read(workdir)
  ]
  for line in lines:  # the source may be committed meanwhile
    line.get("protocol", {}).pop("git", None)
  board = sorted(
    (event.step, value.tag, repr(value.simple_value))
    for event in events.read(workdir / "tensorboard")
    for value in event.summary.value
    if not meter.is_time(value.tag)
  )
  found = {"arrays": [step, arrays], "metrics": lines, "board": board}
  return {name: _hash(value) for name, value in found.items()}


def _hash(value: object) -> str:
  text = json.dumps(value, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:12]


class Child:
  """A run in processes of its own."""

  def __init__(
    self, config: str, workdir: pathlib.Path, flags: Sequence[str], count: int
  ):
    """Starts it; what it prints goes to workdir.log."""
    self.log = workdir.with_suffix(".log")
    command = [sys.executable, "-m", "jmim.main", f"--config={config}"]
    command += [f"--workdir={workdir}", *flags]
    together = [[]]
    if count > 1:
      where = f"--coordinator=127.0.0.1:{_free_port()}"
      together = [
        [where, f"--processes={count}", f"--process={i}"] for i in range(count)
      ]
    self._file = self.log.open("w")
    self.processes = [
      subprocess.Popen(
        [*command, *own], stdout=self._file, stderr=subprocess.STDOUT,
        start_new_session=True,
      )
      for own in together
    ]  # fmt: skip

  def wait(self, seconds: float) -> list[int] | None:
    """Exit codes, or None if it is not done in time."""
    end = time.monotonic() + seconds
    try:
      return [p.wait(max(0.01, end - time.monotonic())) for p in self.processes]
    except subprocess.TimeoutExpired:
      return None

  def wait_for_a_step(self) -> float:
    """Waits for the first log line, or the end; seconds until then."""
    start = time.monotonic()
    while not any(x.startswith("step ") for x in self._lines()):
      if all(p.poll() is not None for p in self.processes):
        break
      time.sleep(0.02)
    return time.monotonic() - start

  def _lines(self) -> list[str]:
    return [x for x in self.log.read_text().splitlines() if x.strip()]

  def kill(self, number: int) -> float:
    """Kills one process; seconds until the others have ended."""
    victim = self.processes[number]
    os.killpg(victim.pid, signal.SIGKILL)
    start = time.monotonic()
    for process in self.processes:
      process.wait()
    self._file.close()
    return time.monotonic() - start

  def doing(self) -> str:
    """The last line it printed."""
    lines = self._lines()
    return lines[-1].strip()[:60] if lines else "starting"


def _free_port() -> int:
  with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    return probe.getsockname()[1]


def run(options: argparse.Namespace, flags: Sequence[str]) -> bool:
  """Does the test; whether all runs ended alike."""
  folder = pathlib.Path(options.workdir or tempfile.mkdtemp(prefix="crash"))
  start = lambda name: Child(  # noqa: E731
    options.config, folder / name, flags, options.processes
  )
  began, child = time.monotonic(), start("whole")
  first = child.wait_for_a_step()
  codes = child.wait(float("1e9"))
  length = time.monotonic() - began
  if any(codes):
    print(f"the untouched run failed: exit codes {codes}; {folder}/whole.log")
    return False
  expected = fingerprint(folder / "whole")
  print(
    f"untouched: {first:.1f} s to the first log line, {length - first:.1f} s "
    f"from there; arrays {expected['arrays']}", flush=True,
  )  # fmt: skip
  rng, kills, laps, alike = random.Random(options.seed), 0, 0, True
  while kills < options.kills or laps == 0:
    laps += 1
    name, parts = f"run{laps}", (first, length - first)
    kills = _lap(start, name, options, kills, parts, rng)
    if kills is None:
      return False
    found = fingerprint(folder / f"run{laps}")
    wrong = [n for n in expected if found[n] != expected[n]]
    alike = alike and not wrong
    print(f"run {laps} done: {'DIFFERENT ' + str(wrong) if wrong else 'alike'}")
  print(f"verdict: {kills} kills, {laps} runs, {'' if alike else 'NOT '}alike")
  return alike


def _lap(start, name, options, kills, parts, rng) -> int | None:
  """One run to its end, killed on the way: kills so far, or None: failed.

  Three kills of four come after the first log line: most of a short run is
  starting and compiling.
  """
  while True:
    child = start(name)
    late = rng.random() < 0.75
    seconds = rng.uniform(0, options.spread * parts[late])
    if late:
      child.wait_for_a_step()
    codes = child.wait(1e9 if kills >= options.kills else seconds)
    if codes is not None and not any(codes):
      return kills
    if codes is not None:
      print(f"a run failed by itself: exit codes {codes}; see {child.log}")
      return None
    kills, victim = kills + 1, rng.randrange(options.processes)
    doing, waited = child.doing(), child.kill(victim)
    others = f", others ended after {waited:.1f} s" * (options.processes > 1)
    since = "of training" if late else "of starting"
    print(
      f"kill {kills} after {seconds:.1f} s {since}{others}: {doing}", flush=True
    )


def main(argv: Sequence[str]) -> int:
  """Command line; the exit code."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--config", required=True, help="recipe")
  parser.add_argument("--kills", type=int, default=50)
  parser.add_argument("--seed", type=int, default=0, help="of the moments")
  parser.add_argument("--workdir", help="kept; else a temporary one")
  parser.add_argument("--processes", type=int, default=1)
  parser.add_argument(
    "--spread", type=float, default=1.0,
    help="latest kill, as a part of the times of the untouched run",
  )  # fmt: skip
  options, flags = parser.parse_known_args(argv)
  return 0 if run(options, flags) else 1


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
