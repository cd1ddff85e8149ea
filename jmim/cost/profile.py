"""A trace of a few steps, and which operations took the time.

`train.profile_steps="10:13"` traces steps 10 to 13, the first step being 1.
"""

import collections
import pathlib
import re
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import jax

from jmim.core import errors
from jmim.runlog import console as consoles

KEY = "train.profile_steps"


def steps(text: str, total: int) -> range:
  """The steps of "first:last"; none of "".

  Args:
    text: `train.profile_steps`.
    total: steps of the run.

  Raises:
    UserError: another form, an order or numbers that cannot be.
  """
  if not text:
    return range(0)
  match = re.fullmatch(r"(\d+):(\d+)", text)
  first, last = map(int, match.groups()) if match else (0, 0)
  if not 1 <= first <= last <= total:
    raise errors.UserError(
      f"{KEY}={text!r} in a run of {total:,} steps",
      "first:last, two steps of the run in order",
      "write 10:13, for example",
      KEY,
    )
  return range(first, last + 1)


class Profile:
  """Traces the steps it was made for, and nothing before or after them.

  Attributes:
    count: of those steps.
  """

  def __init__(self, traced: range, folder: pathlib.Path):
    """Keeps its arguments.

    Args:
      traced: the steps (from 1 on), see `steps`.
      folder: where the trace goes; made when it begins.
    """
    self._steps, self._folder, self._on = traced, folder, False
    self.count = len(traced)

  def before(self, step: int, state: Any) -> None:
    """Begins the trace if `step` (from 1 on) is the first of its steps."""
    if self._steps and step == self._steps[0]:
      jax.block_until_ready(state)  # what was begun before is not part of it
      jax.profiler.start_trace(self._folder)
      self._on = True

  def ends(self, step: int) -> bool:
    """Whether the trace ends after this step."""
    return self._on and step == self._steps[-1]

  def end(self, state: Any) -> pathlib.Path:
    """Ends the trace; the file of this host."""
    jax.block_until_ready(state)
    self.close()
    return max(
      self._folder.rglob("*.xplane.pb"), key=lambda p: p.stat().st_mtime
    )

  def close(self) -> None:
    """Ends a trace that was begun."""
    if self._on:
      self._on = False
      jax.profiler.stop_trace()


def times(planes: Iterable[Any]) -> dict[str, tuple[float, int]]:
  """Operation -> (seconds in it and not in those it contains, times run).

  Args:
    planes: of a `jax.profiler.ProfileData`: devices, each with lines (threads,
      streams) of events. Those with the name of an operation of a compiled
      program count; where it ran on several devices or threads, all do.
  """
  sums = collections.defaultdict(lambda: [0.0, 0])
  for plane in planes:
    for line in plane.lines:
      events = [(e, _operation(e, line.name)) for e in line.events]
      events = [(e, name) for e, name in events if name]
      for name, seconds in _self_times(
        [(e.start_ns, e.start_ns + e.duration_ns, name) for e, name in events]
      ):
        sums[name][0] += seconds
        sums[name][1] += 1
  return {name: (seconds, n) for name, (seconds, n) in sums.items()}


def _operation(event: Any, line: str) -> str:
  """Name of the operation of the program that an event is, or ""."""
  for key, value in event.stats:
    if key == "hlo_op":
      return str(value)
  # On TPUs the event is the operation: "%fusion.3 = f32[8,128] fusion(...)".
  return event.name.split(" ")[0].lstrip("%") if line == "XLA Ops" else ""


def _self_times(
  spans: list[tuple[float, float, str]],
) -> list[tuple[str, float]]:
  """(name, seconds without what lies within) of the spans [ns] of a line."""
  done, open_ = [], []  # open_: end, name, self time so far
  for start, end, name in sorted(spans, key=lambda s: (s[0], -s[1])):
    while open_ and open_[-1][0] <= start:
      done.append(open_.pop())
    if open_:
      open_[-1][2] -= end - start
    open_.append([end, name, end - start])
  return [(name, ns / 1e9) for _, name, ns in done + open_]


def sources(program: str) -> dict[str, str]:
  """Operation -> the part of the model it comes from.

  Args:
    program: text of a compiled program, in whose lines it is named.
  """
  pattern = r'^\s*(?:ROOT )?%?([\w.\-]+) = .*op_name="([^"]*)"'
  pairs = re.findall(pattern, program, re.MULTILINE)
  return {name: where.split("/", 1)[-1] for name, where in pairs}


def show(
  console: consoles.Console,
  path: pathlib.Path,
  program: str,
  count: int,
  most: int = 10,
) -> None:
  """Prints the operations that took the most time.

  Args:
    console: of the run.
    path: the trace.
    program: text of the compiled step.
    count: steps in the trace.
    most: operations that are shown.
  """
  data = jax.profiler.ProfileData.from_file(str(path))
  console.print(f"trace of {count} steps: {path}")
  console.table(
    f"{most} operations of the most time",
    ("operation", "part", "ms per step", "share", "runs per step"),
    rows(times(data.planes), sources(program), count, most),
  )


def rows(
  spent: Mapping[str, tuple[float, int]],
  where: Mapping[str, str],
  count: int,
  n: int,
) -> list[tuple[str, str, str, str, str]]:
  """(operation, part, ms per step, share, runs per step), the longest first."""
  total = sum(seconds for seconds, _ in spent.values())
  longest = sorted(spent.items(), key=lambda x: -x[1][0])[:n]
  return [
    (
      name,
      where.get(name, "")[-60:],
      f"{1e3 * seconds / count:.3g}",
      f"{seconds / total:.1%}",
      f"{runs / count:g}",
    )
    for name, (seconds, runs) in longest
  ]
