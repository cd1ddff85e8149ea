"""Outputs that are NaN or infinite: nothing is computed of them."""

import numpy as np

from jmim.core import errors


class NotComputed(errors.UserError):
  """What an evaluator was given has no value; the run goes on."""


def check(*outputs: np.ndarray) -> None:
  """Raises NotComputed unless all numbers of all rows are finite.

  Args:
    *outputs: [n, ...] features or scores, a row per example.
  """
  for rows in outputs:
    fine = np.isfinite(rows).reshape(len(rows), -1).all(1)
    if not fine.all():
      raise broken(int((~fine).sum()), len(rows))


def broken(count: int, total: int) -> NotComputed:
  """The error for so many rows."""
  return NotComputed(
    f"the outputs of {count} of {total} examples are NaN or infinite",
    "finite numbers",
    "look at the loss of the run and at its data; try hardware.dtype=f32",
    None,
  )
