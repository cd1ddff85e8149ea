"""Programs of this process in turn: other work on the machine slows all."""

import statistics
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import jax

Laps = list[tuple[float, ...]]  # seconds of each program, round after round


def turns(programs: Sequence[Callable[[], Any]], rounds: int) -> Laps:
  """Seconds of each program in each round; each has run once before.

  Args:
    programs: whose arrays are waited for.
    rounds: turns of each.
  """
  for program in programs:
    _seconds(program)  # compiles
  return [tuple(map(_seconds, programs)) for _ in range(rounds)]


def _seconds(program: Callable[[], Any]) -> float:
  begun = time.monotonic()
  jax.block_until_ready(program())
  return time.monotonic() - begun


def seconds(laps: Laps) -> list[float]:
  """Median of each program."""
  return [statistics.median(lap) for lap in zip(*laps, strict=True)]


def ratio(laps: Laps, over: int, under: int) -> float:
  """Median over rounds of a program's time over another's in the same round."""
  return statistics.median(lap[over] / lap[under] for lap in laps)


def told(laps: Laps, over: int, under: int) -> str:
  """The ratio, and of how many rounds."""
  return f"ratio {ratio(laps, over, under):.2f} (median of {len(laps)})"
