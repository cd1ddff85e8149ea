"""The arrays of one batch, written slot by slot by several threads."""

import threading
from collections.abc import Container

import numpy as np

from jmim.core import errors

Batch = dict[str, np.ndarray]


class Slots:
  """A batch that is being filled; slots are written in any order, at once.

  Each is written as soon as it is made, not all together in the end: so many
  arrays are memory that is given back and faulted in again with every batch, a
  fifth of the time with "turbo". What is not needed, and not in all slots with
  one shape and type, is left out of the batch.
  """

  def __init__(self, count: int, needed: Container[str]):
    """Makes no room yet: the first slot that is written says for what.

    Args:
      count: slots of the batch.
      needed: names that somebody reads.
    """
    self._count, self._needed = count, needed
    self._arrays, self._odd = None, set()
    self._lock = threading.Lock()

  def put(self, slot: int, arrays: Batch) -> None:
    """Writes what was made of one slot.

    Args:
      slot: in [0, count).
      arrays: name -> [...], at least one.

    Raises:
      UserError: slots differ in what is needed.
    """
    batch = self._arrays or self._make_room(arrays)
    odd = [*(batch.keys() - arrays.keys())]
    for name, x in arrays.items():
      into = batch.get(name)
      if into is None or into.dtype != x.dtype or into.shape[1:] != x.shape:
        odd.append(name)
      else:
        into[slot] = x
    for name in odd:
      if name in self._needed:
        one, other = sorted(map(str, (_kinds(batch, 1), _kinds(arrays))))
        raise errors.UserError(
          f"examples of {one} and of {other} in a batch",
          f"{name!r} in all of them, of one shape",
          "store them at one size; for images, set data.host_crop",
          "data.name",
        )
      self._odd.add(name)

  def _make_room(self, arrays: Batch) -> Batch:
    with self._lock:
      if self._arrays is None:
        self._arrays = {
          name: np.empty((self._count, *x.shape), x.dtype)
          for name, x in arrays.items()
        }
      return self._arrays

  def batch(self) -> Batch:
    """Name -> [count, ...], once all slots are written."""
    return {k: x for k, x in self._arrays.items() if k not in self._odd}


def _kinds(arrays: Batch, leave: int = 0) -> dict[str, tuple]:
  """Name -> (type, *shape) without the first `leave` dimensions."""
  return {name: (x.dtype.name, *x.shape[leave:]) for name, x in arrays.items()}
