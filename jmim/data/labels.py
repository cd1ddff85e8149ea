"""Labels as class ids, however a data set writes them.

    written as                         read as
    [n], [n, 1] ... whole numbers,     the class; -1: no label
    also as floats or booleans
    [n, c] with a single 1 per row     its column, of c classes
    anything else                      nothing, and why is said

The last is no error here: a method that reads no labels does not need them.
"""

import dataclasses
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np

UNLABELLED = -1


@dataclasses.dataclass(frozen=True)
class Labels:
  """The labels of a whole data set.

  Attributes:
    values: int32 [n], each in -1, 0 ...; as given where there is a fault.
    classes: how many there are; None: no example has a label, or a fault.
    fault: why they are no class ids; "": they are.
  """

  values: Sequence[Any]
  classes: int | None
  fault: str = ""


def read(values: Sequence[Any]) -> Labels:
  """Class ids of what a data set holds under "label", one per example."""
  try:
    array = np.asarray(values)
  except ValueError:
    return Labels(values, None, "labels of different lengths")
  fault = _fault(array := _squeezed(array))
  if fault or not len(array):
    return Labels(values, None, fault)
  classes = None
  if array.ndim == 2:
    array, classes = array.argmax(1), array.shape[1]
  greatest = int(array.max())
  if classes is None and greatest != UNLABELLED:
    classes = greatest + 1
  return Labels(array.astype(np.int32), classes)


def one(value: np.ndarray) -> np.ndarray:
  """The same of the label of one example; as given where it is no class."""
  if not value.ndim and value.dtype.kind == "i":
    return value
  made = read(value[None])
  return value if made.fault else made.values[0]


def fault(source: Any) -> str:
  """Why the labels of a source, or of a part of it, are none; "": they are."""
  parts = getattr(source, "parts", (source,))
  return next(filter(None, (getattr(p, "fault", "") for p in parts)), "")


def columns(source: Any, name: str) -> Iterator[Sequence[Any]]:
  """An entry of all examples, of each part that has it in memory."""
  for part in getattr(source, "parts", (source,)):
    column = getattr(part, "column", None)
    values = column and column(name)
    if values is not None:
      yield values


def _squeezed(array: np.ndarray) -> np.ndarray:
  """[n, 1, 1] -> [n]."""
  while array.ndim > 1 and array.shape[-1] == 1:
    array = array[..., 0]
  return array


def _fault(array: np.ndarray) -> str:
  """Why [n] or [n, c] are no labels, or ""."""
  if array.dtype.kind not in "biuf":
    return f"labels of type {array.dtype}, not numbers"
  if array.ndim > 2:
    return f"labels of shape {list(array.shape)}"
  if not array.size:
    return "labels without a number" if len(array) else ""
  if array.dtype.kind == "f":
    if not np.isfinite(array).all():
      return "labels that are NaN or infinite"
    broken = array[array != np.rint(array)]
    if broken.size:
      return f"fractional labels, such as {broken[0]:g}"
  least, greatest = array.min(), array.max()
  if array.ndim == 2:
    single = least >= 0 and greatest <= 1 and (array.sum(1) == 1).all()
    several = f"{array.shape[1]} numbers per label, not a single 1 among zeros"
    return "" if single else several
  if least < UNLABELLED or greatest >= np.iinfo(np.int32).max:
    return f"labels from {least:.0f} to {greatest:.0f}"
  return ""
