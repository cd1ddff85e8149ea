"""Makes one batch: reads, decodes and crops many examples into arrays."""

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.data import decode
from jmim.data import sources

Batch = dict[str, np.ndarray]
# (example, a generator per slot, its name) -> arrays of each slot.
Make = Callable[[dict[str, Any], list[np.random.Generator], str], list[Batch]]

# So many broken examples in a row are no accident.
_MAX_BAD_RUN = 100


class Reader:
  """Reads and makes batches; safe to call from many threads and processes."""

  def __init__(
    self, source: sources.Source, make: Make, seed: int, skip_bad: bool
  ):
    """Prepares to read; reads nothing yet.

    Args:
      source: at least one example.
      make: see `views.Maker`.
      seed: of what is random about an example.
      skip_bad: put the next intact example in the place of a broken one,
        instead of raising.
    """
    self._source, self._make = source, make
    self._seed, self._skip_bad = seed, skip_bad
    self._stopped = False

  def stop(self) -> None:
    """Makes the reads in progress give up, as their threads hold up exit."""
    self._stopped = True

  def read(
    self, index: np.ndarray, epoch: np.ndarray, repeat: np.ndarray
  ) -> tuple[Batch, dict[int, str]]:
    """Makes a batch.

    Args:
      index: int64 [b], the examples.
      epoch: int64 [b], for what is random about them.
      repeat: int64 [b], which of the samples of this example in this epoch;
        0 starts a new example, 1 ... belong to the slot before.

    Returns:
      The batch, with `index` int32 [b]: the examples really used, which differ
      where a broken one was replaced; and why, for each broken one: {index:
      "name: reason"}.

    Raises:
      UserError: a broken example, unless skipped, or too many in a row.
      RuntimeError: `stop` was called.
    """
    starts = np.flatnonzero((repeat == 0) | (np.arange(len(repeat)) == 0))
    slots = np.split(np.arange(len(index)), starts[1:])
    batch, used, bad = {}, [], {}
    for group, example in zip(
      slots, self._fetch(index[starts].tolist()), strict=True
    ):
      if self._stopped:
        raise RuntimeError("nobody will ask for this batch")
      draws = [(int(epoch[i]), int(repeat[i])) for i in group]
      intact, arrays = self._intact(int(index[group[0]]), draws, example, bad)
      for slot, made in zip(group.tolist(), arrays, strict=True):
        put(batch, slot, made, len(index))
      used += [intact] * len(arrays)
    return batch | {"index": np.array(used, np.int32)}, bad

  def _fetch(self, index: list[int]) -> Iterable[dict[str, Any]]:
    """The examples as stored: at once if the source can, else one by one."""
    if hasattr(self._source, "__getitems__"):
      return self._source.__getitems__(index)
    return (self._source[i] for i in index)

  def _intact(
    self,
    first: int,
    draws: list[tuple[int, int]],
    example: dict[str, Any],
    bad: dict[int, str],
  ) -> tuple[int, list[Batch]]:
    """Example `first`, or the next that is intact: (index, arrays)."""
    n = len(self._source)
    for offset in range(min(n, _MAX_BAD_RUN)):
      index = (first + offset) % n
      if offset:
        example = self._source[index]
      rngs = [example_rng(self._seed, e, index, r) for e, r in draws]
      name = self._source.name(index)
      try:
        return index, self._make(example, rngs, name)
      except decode.BadImage as error:
        if not self._skip_bad:
          raise _broken(f"{name}: {error}") from error
        bad[index] = f"{name}: {error}"
    raise errors.UserError(
      f"no readable image from {self._source.name(first)} to "
      f"{self._source.name(index)}",
      "images",
      "look at them",
      "data.name",
    )


def put(batch: Batch, slot: int, arrays: Batch, slots: int) -> None:
  """Writes what was made of one slot into a batch of so many.

  At once, not all together in the end: so many arrays are memory that is given
  back and faulted in again with every batch, a fifth of the time with "turbo".

  Args:
    batch: filled so far; empty before the first slot, which says what is in it.
    slot: where to, in [0, slots).
    arrays: name -> [...].
    slots: of the batch.

  Raises:
    UserError: this slot differs from the first in names, shapes or types.
  """
  if not batch:
    for name, x in arrays.items():
      batch[name] = np.empty((slots, *x.shape), x.dtype)
  if _kinds(arrays) != _kinds(batch, 1):
    raise errors.UserError(
      f"examples of {_kinds(batch, 1)} and of {_kinds(arrays)} in a batch",
      "the same arrays of one shape",
      "store them at one size; for images, set data.host_crop",
      "data.name",
    )
  for name, x in arrays.items():
    batch[name][slot] = x


def _kinds(arrays: Batch, leave: int = 0) -> dict[str, tuple]:
  """Name -> (type, *shape) without the first `leave` dimensions."""
  return {name: (x.dtype.name, *x.shape[leave:]) for name, x in arrays.items()}


def _broken(seen: str) -> errors.UserError:
  return errors.UserError(
    seen,
    "an image that decodes",
    'mend or remove it, or set data.on_bad_record to "skip"',
    "data.on_bad_record",
  )


def example_rng(
  seed: int, epoch: int, index: int, repeat: int = 0
) -> np.random.Generator:
  """What is random about one sample of one example in one epoch."""
  entropy = [seed % 2**64, epoch, index] + [repeat] * (repeat > 0)
  sequence = np.random.SeedSequence(entropy)
  return np.random.Generator(np.random.Philox(sequence))
