"""Curves of a run: what its log lines hold, thinned, and what goes together."""

import math
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

POINTS = 4000  # most points of a curve; beyond, each stretch keeps its extremes
_NOT_CURVES = ("step", "eval", "protocol")


def number(value: Any) -> float | None:
  """Six digits of a finite number; None for anything else ("nan")."""
  good = isinstance(value, int | float) and not isinstance(value, bool)
  return float(f"{value:.6g}") if good and math.isfinite(value) else None


def series(lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
  """Name -> {"x": steps, "y": values or None, "eval": whether, "of": count}."""
  curves: dict[str, Any] = {}
  for line in lines:
    for key, value in line.items():
      if key in _NOT_CURVES or isinstance(value, list | dict):
        continue
      empty = {"x": [], "y": [], "eval": line.get("eval", "")}
      curve = curves.setdefault(key, empty)
      curve["x"].append(line["step"])
      curve["y"].append(number(value))
  return {key: thin(curve) for key, curve in curves.items()}


def thin(curve: dict[str, Any], limit: int = POINTS) -> dict[str, Any]:
  """At most about `limit` points: of each stretch the least and greatest."""
  x, y = curve["x"], curve["y"]
  curve["of"] = len(x)
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
  curves: Mapping[str, Any], evals: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
  """Training curve -> the same number on held-out images."""
  pairs = {}
  for one in evals:
    if one["type"].endswith(".loss"):
      for key in curves:
        held_out = f"{one['name']}/{key}"
        if held_out in curves and not curves[key]["eval"]:
          pairs[key] = held_out
  return pairs
