"""Numbers that a data set stores beside its pictures.

Of all else in an example (texts, objects, lists of lists of different lengths,
numbers that need 64 bits) nothing is made: most methods read none of it.
"""

from collections.abc import Container
from collections.abc import Mapping
from typing import Any

import numpy as np

from jmim.data import entries
from jmim.data import labels


def of(
  example: Mapping[str, Any], pictures: Container[str] = ()
) -> dict[str, np.ndarray]:
  """The numbers of an example as stored: name -> int32 or float32 [...].

  A label that is written as [1], as a float or as a row with a single 1 is its
  class, see `labels`.

  Args:
    example: as stored.
    pictures: names of what is no number, beside those of `entries`.
  """
  made = {}
  for name, value in example.items():
    if name not in entries.FEATURES and name not in pictures:
      number = _number(value)
      if number is not None:
        made[name] = labels.one(number) if name == "label" else number
  return made


def _number(value: Any) -> np.ndarray | None:
  """int32 or float32 [...]; None: not a number, or not an int32."""
  try:
    array = np.asarray(value)
  except ValueError:  # rows of different lengths
    return None
  if array.dtype.kind == "f":
    return array.astype(np.float32)
  if array.dtype.kind not in "biu":
    return None
  if array.size and not np.can_cast(array.dtype, np.int32):
    bound = np.iinfo(np.int32)
    if array.min() < bound.min or array.max() > bound.max:
      return None
  return array.astype(np.int32)
