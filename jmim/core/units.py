"""Durations in steps, epochs or images.

A section has three keys for each: `<stem>_steps`, `_epochs` and `_images`, of
which one is set; 0 means that it is not. Examples are those of one epoch.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any
from typing import TypeVar

from jmim.core import errors
from jmim.core import field

UNITS = ("steps", "epochs", "images")
Section = TypeVar("Section")


def in_steps(doc: str) -> Any:
  """The field `<stem>_steps` of a duration; `doc` is the same for all three."""
  return field.value(0, f"{doc} [optimizer steps]", low=0)


def in_epochs(doc: str) -> Any:
  """The field `<stem>_epochs` of a duration."""
  return field.value(0.0, f"{doc} [passes over the data]", low=0)


def in_images(doc: str) -> Any:
  """The field `<stem>_images` of a duration."""
  return field.value(0, f"{doc} [examples seen]", low=0)


def given(section: Mapping[str, Any], stem: str) -> dict[str, float]:
  """Unit -> value of the duration `stem`, in those units that are set."""
  values = {unit: section.get(f"{stem}_{unit}", 0) for unit in UNITS}
  return {unit: value for unit, value in values.items() if value}


def steps(
  section: Mapping[str, Any],
  stem: str,
  batch: int,
  examples: int,
  where: str = "",
) -> float:
  """The duration `stem` of a config section, in (fractional) steps.

  Args:
    section: has at most one positive of `<stem>_steps|_epochs|_images`.
    stem: e.g. "warmup".
    batch: total batch.
    examples: size of the training set.
    where: name of the section, for the error.

  Returns:
    steps; 0.0 if none is given.

  Raises:
    UserError: two of them are given.
  """
  values = given(section, stem)
  if len(values) > 1:
    seen = ", ".join(f"{stem}_{u}={v}" for u, v in values.items())
    raise errors.UserError(
      seen,
      f"one of {stem}_steps, {stem}_epochs, {stem}_images",
      "set the others to 0",
      f"{where}.{stem}_{list(values)[-1]}" if where else None,
    )
  if not values:
    return 0.0
  (unit, value), *_ = values.items()
  per_step = {"steps": 1.0, "epochs": batch / examples, "images": batch}[unit]
  return value / per_step


def resolve(section: Section, batch: int, examples: int, where: str) -> Section:
  """A section with each of its durations in (fractional) steps.

  Args:
    section: a documented dataclass.
    batch: total batch.
    examples: size of the training set.
    where: name of the section, for errors.

  Raises:
    UserError: a duration is given in two units.
  """
  values = vars(section)
  suffix = f"_{UNITS[-1]}"
  stems = [n.removesuffix(suffix) for n in values if n.endswith(suffix)]
  changes = {f"{stem}_{unit}": 0 for stem in stems for unit in UNITS}
  changes |= {
    f"{stem}_steps": steps(
      values, stem, batch=batch, examples=examples, where=where
    )
    for stem in stems
  }
  return dataclasses.replace(section, **changes)


def describe(n_steps: float, batch: int, examples: int) -> str:
  """A duration in all three units, e.g. '300 steps = 1.5 epochs = ...'."""
  images = n_steps * batch
  return (
    f"{n_steps:,.0f} steps = {images / examples:,.2f} epochs "
    f"= {images:,.0f} images"
  )
