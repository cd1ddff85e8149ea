"""Kills a run at random moments and compares its end with an untouched one.

    python -m jmim.tools.crash_test --config=configs/mae_digits.py --kills=50

A child run is killed with SIGKILL and started again, until it is done; then
another one begins, until there were enough kills. The kills are aimed in turn
at the start, the compiler, a step, an evaluation, a save and a deletion: at a
random moment of one of the first of them (`crash_watch`). Every
finished run must have the same arrays (their checksums), the same lines in
metrics.jsonl and the same values in TensorBoard as one that was let alone;
what the clock says is not compared. One line per kill, a verdict, exit code 0
if all agree. Compiled programs are kept beside the runs, but not used where a
kill is aimed at the compiler.

With --processes=2 the run has two processes on this machine; one of them is
killed, and the others have to end by themselves.

With --second another process is started on the workdir of each run that has
begun to compile. It has to be refused (exit code 2), unless that run was killed
or done by then; where it goes on with it, it is killed too.

--config.KEY=VALUE is passed on to the runs.
"""

import argparse
import collections
import hashlib
import json
import pathlib
import random
import sys
import tempfile
from collections.abc import Sequence

from jmim.checkpoints import weights
from jmim.runlog import events
from jmim.runlog import meter
from jmim.runlog import writer
from jmim.tools import crash_runs
from jmim.tools import crash_watch

# Kills come in one of the first so many phases of a kind after a start, so that
# a run that is killed often gets on all the same.
_FIRST = 3


def fingerprint(workdir: pathlib.Path) -> dict[str, str]:
  """Hashes of what a run left: its "arrays", "metrics" and "board".

  Raises:
    UserError: its newest checkpoint is damaged.
  """
  with weights.reading(workdir) as store:
    step = store.latest()
    weights.section(store, step, "params")  # compared with their checksums
    arrays = store.meta(step)["arrays"]
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
  remains = {"arrays": [step, arrays], "metrics": lines, "board": board}
  return {name: _hash(value) for name, value in remains.items()}


def _hash(value: object) -> str:
  text = json.dumps(value, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:12]


def save_cost(workdir: pathlib.Path, saves: int) -> float:
  """How long a save kept the steps waiting, on average, in steps.

  Args:
    workdir: of a finished run.
    saves: how many it began; the last came after the last log line.
  """
  shares = [x for x in writer.read(workdir) if "goodput/checkpoint" in x][-1]
  part = lambda name: shares[meter.GOODPUT + name]
  step = (part("steps") + part("input")) / shares["step"]
  return part("checkpoint") / max(1, saves - 1) / step


class Test:
  """Runs of one recipe, one of them untouched.

  Attributes:
    options: of the command line.
    folder: of the runs.
    flags: arguments of jmim.main.
    hits: phase -> kills in it.
    seconds: what second processes came to -> how many.
    durations: phase -> seconds it lasted, each time, in the untouched run.
  """

  def __init__(self, options: argparse.Namespace, flags: Sequence[str]):
    """Keeps its arguments; see `main`."""
    self.options = options
    folder = options.workdir or tempfile.mkdtemp(prefix="crash")
    self.folder = pathlib.Path(folder).resolve()
    self.folder.mkdir(parents=True, exist_ok=True)
    cache = self.folder / "compiled"
    self.flags = [f"--config.hardware.compile_cache={cache}", *flags]
    self.rng = random.Random(options.seed)
    self.hits: collections.Counter[str] = collections.Counter()
    self.seconds: collections.Counter[str] = collections.Counter()
    self.durations: dict[str, list[float]] = {}

  def start(self, name: str, *more: str) -> crash_runs.Child:
    """Starts a run, or goes on with it; `more` flags."""
    options, flags = self.options, [*self.flags, *more]
    folder = self.folder / name
    return crash_runs.Child(options.config, folder, flags, options.processes)

  def untouched(self) -> dict[str, str] | None:
    """Fingerprint of a run that is let alone; None: it failed."""
    child = self.start("whole")
    self.durations = child.watch.until(child.running)
    if any(codes := child.wait()):
      print(f"the untouched run failed: exit codes {codes}; see {child.log}")
      return None
    phases = [
      f"{name} {sum(x):.1f} s in {len(x)}" for name, x in self.durations.items()
    ]
    print("untouched: " + ", ".join(phases))
    saves = child.watch.log.read_text(encoding="utf-8").split().count("save")
    cost = save_cost(self.folder / "whole", saves)
    print(f"each save held the steps up for the time of {cost:.1f} steps")
    expected = fingerprint(self.folder / "whole")
    print(f"arrays {expected['arrays']}", flush=True)
    return expected

  def lap(self, name: str) -> bool:
    """A run to its end, killed on the way; False: it failed by itself."""
    while self.hits.total() < self.options.kills:
      phase, nth, seconds = self._aim()
      cold = ["--config.hardware.compile_cache="] * (phase == "compile")
      child = self.start(name, *cold)
      second = self._second(name, child) if phase != "start" else None
      reached = child.watch.reaches(phase, nth, child.running)
      codes = child.wait(seconds if reached else 1e9)
      if codes is not None:
        return self._tolerated(second) and self._fine(child, codes)
      victim = self.rng.randrange(self.options.processes)
      hit, waited = child.kill(victim)
      self.hits[hit] += 1
      if not self._tolerated(second):
        return False
      more = f", others ended after {waited:.1f} s" * (len(child.processes) > 1)
      print(
        f"kill {self.hits.total()} in {hit} (aimed at {phase} {nth} after "
        f"{seconds:.3f} s){more}: {child.last_line()}",
        flush=True,
      )
    child = self.start(name)
    return self._fine(child, child.wait())

  def _second(
    self, name: str, child: crash_runs.Child
  ) -> crash_runs.Second | None:
    """One beside a child that holds the workdir, if it is asked for."""
    options = self.options
    if not options.second:
      return None
    if not child.watch.reaches("compile", 1, child.running):
      return None
    return crash_runs.Second(options.config, self.folder / name, self.flags)

  def _tolerated(self, second: crash_runs.Second | None) -> bool:
    """Ends it; whether it came to what is right."""
    end = second.end() if second else None
    if end:
      self.seconds[end] += 1
    if end in (None, *crash_runs.ENDS.values()):
      return True
    print(f"the second process of a workdir: {end}")
    return False

  def _aim(self) -> tuple[str, int, float]:
    """(phase, which of them, seconds after it began) of the next kill."""
    known = [p for p in crash_watch.PHASES if p in self.durations]
    phase = known[self.hits.total() % len(known)]
    durations = self.durations[phase]
    nth = self.rng.randint(1, min(_FIRST, len(durations)))
    return phase, nth, self.rng.uniform(0, durations[nth - 1])

  def _fine(self, child: crash_runs.Child, codes: Sequence[int]) -> bool:
    if any(codes):
      print(f"a run failed by itself: exit codes {codes}; see {child.log}")
    return not any(codes)


def run(options: argparse.Namespace, flags: Sequence[str]) -> bool:
  """Does the test; whether all runs ended alike."""
  test = Test(options, flags)
  expected, laps, alike = test.untouched(), 0, True
  if expected is None:
    return False
  while test.hits.total() < options.kills or laps == 0:
    laps += 1
    if not test.lap(f"run{laps}"):
      return False
    remains = fingerprint(test.folder / f"run{laps}")
    wrong = [n for n in expected if remains[n] != expected[n]]
    alike = alike and not wrong
    end = f"DIFFERENT {wrong}" if wrong else "alike"
    print(f"run {laps} done: {end}", flush=True)
  hits = ", ".join(f"{count} in {hit}" for hit, count in test.hits.items())
  if test.seconds:
    ends = ", ".join(f"{count} {end}" for end, count in test.seconds.items())
    print(f"second processes: {ends}")
  print(
    f"verdict: {test.hits.total()} kills ({hits}), {laps} runs, "
    f"{'' if alike else 'NOT '}alike"
  )
  return alike


def main(argv: Sequence[str]) -> int:
  """Command line; the exit code."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--config", required=True, help="recipe")
  parser.add_argument("--kills", type=int, default=50)
  parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
  parser.add_argument("--workdir", help="kept; else a temporary one")
  parser.add_argument("--processes", type=int, default=1)
  parser.add_argument("--second", action="store_true", help="see above")
  options, flags = parser.parse_known_args(argv)
  return 0 if run(options, flags) else 1


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
