"""Durations in steps, epochs or images."""

from collections.abc import Mapping
from typing import Any

from jmim.core import errors

UNITS = ("steps", "epochs", "images")


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
  given = {u: section.get(f"{stem}_{u}", 0) for u in UNITS}
  given = {u: v for u, v in given.items() if v}
  if len(given) > 1:
    seen = ", ".join(f"{stem}_{u}={v}" for u, v in given.items())
    raise errors.UserError(
      seen,
      f"one of {stem}_steps, {stem}_epochs, {stem}_images",
      "set the others to 0",
      f"{where}.{stem}_{list(given)[-1]}" if where else None,
    )
  if not given:
    return 0.0
  (unit, value), *_ = given.items()
  per_step = {"steps": 1.0, "epochs": batch / examples, "images": batch}[unit]
  return value / per_step


def describe(n_steps: float, batch: int, examples: int) -> str:
  """A duration in all three units, e.g. '300 steps = 1.5 epochs = ...'."""
  images = n_steps * batch
  return (
    f"{n_steps:,.0f} steps = {images / examples:,.2f} epochs "
    f"= {images:,.0f} images"
  )
