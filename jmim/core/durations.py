"""Durations that are overridden, and what follows them.

Setting one unit of a duration clears its other units.

A short trial of a recipe, `train.total_steps=20`, should need no other key.
Where warm-up, hold, stair and cool-down of the recipe have room in the new run,
they stay as they are. Where one has not, or is in a unit that cannot be
compared with the new length, each becomes the share of the run that it was in
the recipe; or a tenth of it, where that is not known. What a method needs to be
as long as the run (`Method.lengths`), and was, stays so.
"""

import logging
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

import ml_collections

from jmim.core import discovery
from jmim.core import errors
from jmim.core import method
from jmim.core import units

_NO_LENGTHS = method.Method.lengths
STEMS = ("warmup", "hold", "stair", "cooldown")
_UNKNOWN = 0.1
# Those of a duration, and the share of the run that some have instead.
_UNITS = (*units.UNITS, "share")


def clear(node: ml_collections.ConfigDict, name: str) -> None:
  """Zeroes the other units of the duration that the key `name` sets."""
  stem, _, unit = name.rpartition("_")
  if unit in _UNITS:
    for other in _UNITS:
      if f"{stem}_{other}" in node and other != unit:
        node[f"{stem}_{other}"] = type(node[f"{stem}_{other}"])(0)


def keep_shares(
  config: ml_collections.ConfigDict,
  recipe: Mapping[str, Any],
  changed: Collection[str],
) -> None:
  """Fits the schedule to the new length of a run, and says what it changed.

  Args:
    config: with the overrides; its schedule is changed.
    recipe: the config without them.
    changed: dotted keys of the overrides; what they set is not touched.
  """
  if not any(key.startswith("train.total_") for key in changed):
    return
  new, old = _given(config["train"], "total"), _given(recipe["train"], "total")
  if not new or not old:
    return
  _follow(config, old, new, changed)
  batch, schedule = config["data"]["batch"], config["schedule"]
  parts = {stem: _given(schedule, stem) for stem in STEMS}
  parts = {stem: part for stem, part in parts.items() if part}
  lengths = {stem: _as(part, new[0], batch) for stem, part in parts.items()}
  if _fit(lengths, new[1]):
    return
  for stem, part in parts.items():
    whole = _as(old, part[0], recipe["data"]["batch"])
    own = any(key.startswith(f"schedule.{stem}_") for key in changed)
    if own or lengths[stem] is None and whole is None:
      continue  # whether it has room is found when its data are known
    share = part[1] / whole if whole else _UNKNOWN
    _set(schedule, stem, part, (new[0], share * new[1]))


def _follow(
  config: ml_collections.ConfigDict,
  old: tuple[str, float],
  new: tuple[str, float],
  changed: Collection[str],
) -> None:
  """Sets fields of the method that were as long as the run to its steps."""
  before, now = (_as(x, "steps", config["data"]["batch"]) for x in (old, new))
  try:
    of_base = discovery.find(config["method"]["type"]).lengths is _NO_LENGTHS
    lengths = {} if of_base else discovery.make(config["method"]).lengths()
  except (KeyError, errors.UserError):  # told when it is built
    return
  for name, steps in lengths.items():
    key = f"method.{name}"
    if steps != before or now is None or key in changed:
      continue
    *sections, last = key.split(".")
    node = config
    for section in sections:
      if section not in node:
        node[section] = ml_collections.ConfigDict()
      node = node[section]
    node[last] = round(now)
    _tell(key, (round(now), "steps"), (steps, "steps"))


def _fit(lengths: Mapping[str, float | None], total: float) -> bool:
  """Whether parts have room in a run; None: not known, so they have not."""
  if None in lengths.values():
    return False
  rising = lengths.get("warmup", 0) + lengths.get("hold", 0)
  return max((rising, *lengths.values()), default=0) <= total


def _given(section: Mapping[str, Any], stem: str) -> tuple[str, float] | None:
  """(unit, value) of a duration; None: none is given, or two are."""
  found = units.given(section, stem)
  return next(iter(found.items())) if len(found) == 1 else None


def _as(given: tuple[str, float], unit: str, batch: int) -> float | None:
  """A duration in another unit; None: that takes the number of examples."""
  own, value = given
  if own == unit:
    return value
  if "epochs" in (own, unit):
    return None
  return value * batch if unit == "images" else value / batch


def _set(
  schedule: ml_collections.ConfigDict,
  stem: str,
  old: tuple[str, float],
  new: tuple[str, float],
) -> None:
  """Replaces a duration by another, of which there is at least one step."""
  unit, value = new
  value = value if unit == "epochs" else max(1, round(value))
  with schedule.ignore_type():
    schedule[f"{stem}_{unit}"] = value
  clear(schedule, f"{stem}_{unit}")
  _tell(f"schedule.{stem}", (value, unit), old[::-1])


def _tell(key: str, now: tuple[float, str], before: tuple[float, str]) -> None:
  logging.warning(
    "the run has another length than in its recipe, so %s is %g %s (it was "
    "%g %s)",
    key,
    *now,
    *before,
  )
