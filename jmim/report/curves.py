"""Curves of a run: what its log lines hold, thinned, and what goes together."""

import math
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypedDict

from jmim.runlog import events

Line = Mapping[str, Any]  # of metrics.jsonl
POINTS = 4000  # most points of a curve; beyond, each stretch keeps its extremes


class Curve(TypedDict):
  """One number over training.

  Attributes:
    x: steps.
    y: values; None: not finite.
    eval: name of the evaluator it is of; "": of training.
    of: points before it was thinned.
  """

  x: list[int]
  y: list[float | None]
  eval: str
  of: int


def number(value: Any) -> float | None:
  """Six digits of a finite number; None for anything else ("nan")."""
  good = isinstance(value, int | float) and not isinstance(value, bool)
  return float(f"{value:.6g}") if good and math.isfinite(value) else None


def series(lines: Iterable[Line]) -> dict[str, Curve]:
  """Name -> curve of each number of the log."""
  curves: dict[str, Curve] = {}
  for line in lines:
    for key, value in events.numbers(line):
      empty = Curve(x=[], y=[], eval=line.get("eval", ""), of=0)
      curve = curves.setdefault(key, empty)
      curve["x"].append(line["step"])
      curve["y"].append(number(value))
  return {key: thin(curve) for key, curve in curves.items()}


def thin(curve: Curve, limit: int = POINTS) -> Curve:
  """At most about `limit` points: of each stretch the least and greatest."""
  x, y = curve["x"], curve["y"]
  curve = curve | {"of": len(x)}
  if len(x) <= limit:
    return curve
  size, kept = math.ceil(2 * len(x) / limit), {0, len(x) - 1}
  for start in range(0, len(x), size):
    stretch = range(start, min(start + size, len(x)))
    real = [i for i in stretch if y[i] is not None]
    kept |= (
      {stretch[0]}
      if not real
      else {min(real, key=y.__getitem__), max(real, key=y.__getitem__)}
    )
  order = sorted(kept)
  return curve | {"x": [x[i] for i in order], "y": [y[i] for i in order]}


def overlays(
  curves: Mapping[str, Curve], evals: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
  """Training curve -> the same number on the eval split."""
  pairs = {}
  for one in evals:
    if one["type"].endswith(".loss"):
      for key in curves:
        held_out = f"{one['name']}/{key}"
        if held_out in curves and not curves[key]["eval"]:
          pairs[key] = held_out
  return pairs
