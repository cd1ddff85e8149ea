"""Sources made of other sources: several mixed, or one kept in memory."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.data import labels
from jmim.data import sources


class Mixture:
  """Several sources as one; `order.Mixture` holds to the weights.

  Attributes:
    parts: the sources; index counts through them one after another.
    weights: positive, one per part.
    num_classes: of the parts if they agree, else None: labels of different
      data sets mean different things, and are left out.
  """

  def __init__(self, parts: Sequence[sources.Source], weights: Sequence[float]):
    """Wraps one or more sources; reads nothing."""
    self.parts, self.weights = tuple(parts), tuple(weights)
    self._starts = np.cumsum([0, *map(len, parts)])
    classes = {part.num_classes for part in parts}
    self.num_classes = classes.pop() if len(classes) == 1 else None

  def __len__(self) -> int:
    return int(self._starts[-1])

  def _place(self, i: int) -> tuple[sources.Source, int]:
    part = int(np.searchsorted(self._starts, i, side="right")) - 1
    return self.parts[part], int(i - self._starts[part])

  def __getitem__(self, i: int) -> dict[str, Any]:
    part, within = self._place(i)
    example = dict(part[within])
    if self.num_classes is None:
      example.pop("label", None)
    return example

  def name(self, i: int) -> str:
    """The name in its own source."""
    part, within = self._place(i)
    return part.name(within)


class Cached:
  """A source whose examples are read once and kept, encoded, up to a bound.

  What comes first stays: with a random order any other choice would do no
  better, as every example is asked for once per epoch. In worker processes
  each has a cache of its own, with an equal share of the bound.

  Attributes:
    num_classes: of the source.
    source: what is cached.
  """

  def __init__(self, source: sources.Source, limit: int, shares: int = 1):
    """Wraps a source.

    Args:
      source: what is slow to read.
      limit: bytes kept at most, over all processes; of encoded files and
        arrays, not counting about 500 bytes per example for Python's objects.
      shares: processes that will each have a copy of this object.
    """
    if limit < 1:
      raise errors.UserError(
        f"data.cache={limit}", "a number of bytes", "raise it", "data.cache"
      )
    self.source, self._limit = source, limit // shares
    self.num_classes = source.num_classes
    self._kept: dict[int, dict[str, Any]] = {}
    self._lock, self._bytes = threading.Lock(), 0
    if hasattr(source, "parts"):
      self.parts, self.weights = source.parts, source.weights
    self.fault = labels.fault(source)

  def __getstate__(self) -> dict[str, Any]:
    # A copy for another process starts empty: what is kept does not travel.
    state = self.__dict__ | {"_kept": {}, "_bytes": 0}
    del state["_lock"]
    return state

  def __setstate__(self, state: dict[str, Any]) -> None:
    self.__dict__.update(state, _lock=threading.Lock())

  def __len__(self) -> int:
    return len(self.source)

  def __getitem__(self, i: int) -> dict[str, Any]:
    kept = self._kept.get(i)
    if kept is None:
      kept = self.source[i]
      size = sum(map(_size, kept.values()))
      with self._lock:
        if i not in self._kept and self._bytes + size <= self._limit:
          self._kept[i] = kept
          self._bytes += size
    return kept

  def column(self, name: str) -> Sequence | None:
    """An entry of all examples, where the source has it at once."""
    column = getattr(self.source, "column", None)
    return column and column(name)

  def name(self, i: int) -> str:
    """The name in the source."""
    return self.source.name(i)


def _size(value: Any) -> int:
  if isinstance(value, bytes | str):
    return len(value)
  return np.asarray(value).nbytes
