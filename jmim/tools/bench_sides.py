"""Processes that take steps in turn: what `bench_step` and `scaling` time."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from jmim.core import errors

OURS = "jmim.tools.bench_ours"
PEER = "jmim.tools.bench_peer"
Lap = dict[str, float]  # seconds of a step by the clock, and of processors


class Side:
  """A process that runs as many steps as each line of its input says.

  Attributes:
    facts: what it said of itself when it was ready.
  """

  def __init__(self, module: str, spec: dict[str, Any]):
    """Starts it; waits until it has compiled.

    Args:
      module: that serves, as `bench_ours` does.
      spec: its first line.

    Raises:
      UserError: it ended instead.
    """
    # glibc's huge pages, as `malloc.huge_pages` sets them: for both sides.
    env = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", **os.environ}
    self.module = module
    self.process = subprocess.Popen(
      [sys.executable, "-m", module],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
      encoding="utf-8",
      env=env,
    )
    self.facts = self.ask(spec)

  def ask(self, question: Any) -> dict[str, Any]:
    """Sends a line of JSON and returns the answer.

    Raises:
      UserError: it ended instead.
    """
    # Of a process that has ended, the reason is what it printed.
    with contextlib.suppress(BrokenPipeError):
      self.process.stdin.write(json.dumps(question) + "\n")
      self.process.stdin.flush()
    while line := self.process.stdout.readline():
      if line.startswith("{"):
        return json.loads(line)
    raise errors.UserError(
      f"{self.module} ended with {self.process.wait()}",
      "a process that answers",
      "see what it printed above",
      "--peer",
    )

  def close(self) -> None:
    """Ends it."""
    with contextlib.suppress(BrokenPipeError):
      self.process.stdin.close()
    self.process.wait()


def turns(
  sides: Sequence[Side], steps: int, rounds: int
) -> Iterator[list[Lap]]:
  """What a step took each side, in turn, round after round.

  A turn begins with a step that is not counted: while the other side ran, a
  virtual machine gave this one's free memory back to its host, and fetching it
  again took longer than the step itself.

  Args:
    sides: that take turns.
    steps: counted in a turn.
    rounds: turns of each.

  Yields:
    per side "seconds" and "cpu", seconds of processors.
  """
  for _ in range(rounds):
    answers = [_turn(side, steps) for side in sides]
    yield [{k: a[k] / steps for k in ("seconds", "cpu")} for a in answers]


def _turn(side: Side, steps: int) -> dict[str, Any]:
  side.ask(1)
  return side.ask(steps)


def shortest(
  specs: Sequence[dict[str, Any]], rounds: int
) -> list[tuple[dict[str, Any], float]]:
  """(facts, seconds of a step in the fastest turn) of our side for each spec.

  Args:
    specs: recipes and their overrides, as `bench_ours` reads them.
    rounds: turns of each, of two steps.
  """
  with contextlib.ExitStack() as stack:
    sides = [
      stack.enter_context(contextlib.closing(Side(OURS, spec)))
      for spec in specs
    ]
    laps = list(turns(sides, 2, rounds))
  least = [
    min(lap["seconds"] for lap in of_one) for of_one in zip(*laps, strict=True)
  ]
  return [(s.facts, t) for s, t in zip(sides, least, strict=True)]


def figures(facts: dict[str, Any], seconds: float) -> dict[str, float]:
  """seconds, images_per_second and mfu of our side.

  Args:
    facts: its own.
    seconds: of a step.
  """
  rate = facts["batch"] / seconds
  mfu = rate * facts["flops"] / facts["peak"]
  return {"seconds": seconds, "images_per_second": rate, "mfu": mfu}


def over(row: Sequence[Lap], key: str = "seconds") -> float:
  """The peer's time over ours, in one pair."""
  return row[1][key] / row[0][key]
