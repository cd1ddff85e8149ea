"""Makes one batch: reads, decodes and crops many examples into arrays."""

import dataclasses
import errno
from collections.abc import Callable
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.data import again
from jmim.data import decode
from jmim.data import entries
from jmim.data import inputs
from jmim.data import labels
from jmim.data import pool
from jmim.data import slots
from jmim.data import sources

Batch = slots.Batch
# (example, a generator per slot, its name) -> arrays of each slot.
Make = Callable[[dict[str, Any], list[np.random.Generator], str], list[Batch]]

# So many broken examples in a row are no accident.
_MAX_BAD_RUN = 100
# Of an OSError: what is wrong with one file, not with its disk.
_ABOUT_A_FILE = frozenset(
  (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
    errno.EACCES,
    errno.EPERM,
    errno.ENXIO,
    errno.ENAMETOOLONG,
  )
)
_NO_LABEL = np.array(labels.UNLABELLED, np.int32)
_PIXELS = entries.among(entries.ENTRIES, entries.PIXELS)


@dataclasses.dataclass(frozen=True)
class Rules:
  """Which examples make a batch.

  Attributes:
    reads: see `specs.Spec`.
    skip_bad: put the next intact example in the place of a broken one,
      instead of raising.
    unlabelled: take examples whose label is -1 where it is read.
  """

  reads: tuple[tuple[str, int | None], ...] = ()
  skip_bad: bool = False
  unlabelled: bool = False

  def check(self, arrays: Batch, name: str) -> None:
    """Looks at what a method reads of an example, called `name`.

    Raises:
      BadImage: it has no label.
      UserError: a whole number is out of its range, or something is missing.
    """
    for key, high in self.reads:
      if key != "label" and key not in arrays and not self.unlabelled:
        there = ", ".join(entries.readable(arrays))
        raise errors.UserError(
          f"{name} with {there or 'nothing that can be read'}",
          f"{key!r}, which the method reads, in every example",
          "correct the data set, or choose a method for it",
          "data.name",
        )
      x = np.asarray(arrays.get(key, labels.UNLABELLED))
      if key == "label" and (x == labels.UNLABELLED).any():
        if not self.unlabelled:
          raise decode.BadImage("no label, which the method reads")
      elif high is not None and key in arrays:
        inputs.check_range(key, x, high, f"{name}: ")


class Reader:
  """Reads and makes batches; safe to call from many threads and processes."""

  def __init__(
    self,
    source: sources.Source,
    make: Make,
    *,
    seed: int,
    rules: Rules,
    threads: int = 1,
    processes: int = 1,
  ):
    """Prepares to read; reads nothing yet.

    Args:
      source: at least one example.
      make: see `views.Maker`.
      seed: of what is random about an example.
      rules: which examples make a batch.
      threads: that make the examples of a batch; below 2 the caller does.
      processes: readers at work on this machine at the same time.
    """
    self._source, self._make = source, make
    self._seed, self._rules = seed, rules
    reads = {name for name, _ in rules.reads} or {"label"}
    self._needed = reads | set(_PIXELS)
    self._kept = self._needed | set(entries.sent(())) if rules.reads else None
    self._filled = rules.unlabelled and source.num_classes is not None
    self._pool, self._stopped = pool.Pool(threads, processes), False

  def stop(self) -> None:
    """Makes the reads in progress give up, as their threads hold up exit."""
    self._stopped = True
    self._pool.stop()

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
    groups = np.split(np.arange(len(index)), starts[1:])
    firsts = index[starts].tolist()
    fetched = self._fetch(firsts)
    batch = slots.Slots(len(index), self._needed)

    def fetch(group: int) -> dict[str, Any] | decode.BadImage:
      if self._stopped:
        raise RuntimeError("nobody will ask for this batch")
      try:
        return _stored(self._source, firsts[group])
      except decode.BadImage as error:
        return error

    def fill(group: int, example: Any = None) -> dict[int, str]:
      if self._stopped:
        raise RuntimeError("nobody will ask for this batch")
      example = fetched[group] if fetched else example
      at = groups[group]
      draws = [*zip(epoch[at].tolist(), repeat[at].tolist(), strict=True)]
      made, bad = self._intact(firsts[group], draws, example)
      for slot, arrays in zip(at.tolist(), made, strict=True):
        batch.put(slot, arrays)
      return bad

    bad = {}
    read = None if fetched else fetch
    for found in self._pool.map(read, fill, range(len(groups))):
      bad |= found
    return batch.batch(), bad

  def _fetch(self, index: list[int]) -> list[dict[str, Any]]:
    """The examples as stored, if the source can give many, else none."""
    if hasattr(self._source, "__getitems__"):
      try:
        return self._source.__getitems__(index)
      except (decode.BadImage, OSError):
        pass  # one by one will tell which, and try again
    return []

  def _intact(
    self,
    first: int,
    draws: list[tuple[int, int]],
    example: dict[str, Any] | decode.BadImage,
  ) -> tuple[list[Batch], dict[int, str]]:
    """Example `first`, or the next that is intact; and what is wrong so far."""
    n, bad = len(self._source), {}
    for offset in range(min(n, _MAX_BAD_RUN)):
      index = (first + offset) % n
      rngs = [example_rng(self._seed, e, index, r) for e, r in draws]
      name = self._source.name(index)
      try:
        if offset:
          example = _stored(self._source, index)
        elif isinstance(example, decode.BadImage):
          raise example
        arrays = self._make(example, rngs, name)
        if self._filled:
          arrays = [{"label": _NO_LABEL} | made for made in arrays]
        self._rules.check(arrays[0], name)
        used = {"index": np.int32(index)}
        return [self._only_read(made) | used for made in arrays], bad
      except decode.BadImage as error:
        if not self._rules.skip_bad:
          raise _broken(f"{name}: {error}") from error
        bad[index] = f"{name}: {error}"
    raise errors.UserError(
      f"no readable example from {self._source.name(first)} to {bad[index]}",
      "examples that can be read",
      "look at them",
      "data.name",
    )

  def _only_read(self, arrays: Batch) -> Batch:
    """Without what the method does not read, if that is known."""
    if self._kept is None:
      return arrays
    return {name: x for name, x in arrays.items() if name in self._kept}


def _stored(source: sources.Source, index: int) -> dict[str, Any]:
  """An example, or BadImage if its file is not there or is no file.

  What may pass is tried again. Other errors of a disk or network are raised as
  they are: they are not about one example.
  """
  try:
    return again.attempt(lambda: source[index])
  except OSError as error:
    if error.errno not in _ABOUT_A_FILE | again.PASSING:
      raise
    raise decode.BadImage(f"cannot be read: {error.strerror}") from error


def _broken(seen: str) -> errors.UserError:
  return errors.UserError(
    seen,
    "an example that can be read",
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
