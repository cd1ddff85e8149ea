"""The training batches of a run, from any step on."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jmim.data import entries
from jmim.data import feed
from jmim.data import pipeline
from jmim.parallel import sharding
from jmim.session import assemble
from jmim.session import skips as windows

Batch = dict[str, jax.Array]


class Batches:
  """Batches on the devices; an iterator that can be moved to any step.

  Attributes:
    skips: (step, batches skipped there) of every rollback.
  """

  def __init__(self, parts: assemble.Parts, skips: windows.Skips):
    """Begins at step 0."""
    self._parts, self.skips = parts, list(skips)
    self._stream, self._peeked = self.after(0), []

  def __iter__(self) -> Iterator[Batch]:
    return self

  def __next__(self) -> Batch:
    return self._peeked.pop() if self._peeked else next(self._stream)

  def peek(self) -> Batch:
    """The next batch, which stays the next."""
    if not self._peeked:
      self._peeked = [next(self._stream)]
    return self._peeked[0]

  def after(self, step: int) -> Iterator[Batch]:
    """A stream of its own, of the batches that follow after `step` steps."""
    parts = self._parts
    names = entries.sent(parts.method.inputs())
    return windows.stream(
      step,
      self.skips,
      lambda position: feed.batches(
        parts.sources["train"],
        parts.spec,
        names,
        sharding.batch_sharding(parts.mesh),
        start=position,
        ahead=parts.config.hardware.prefetch,
      ),
    )

  def go_to(self, step: int) -> None:
    """Goes on with the batches that follow after `step` steps."""
    self.close()
    self._stream, self._peeked = self.after(step), []

  def skip(self, step: int, count: int) -> None:
    """Leaves out `count` batches after `step`, from the next `go_to` on."""
    self.skips = [*self.skips, [step, count]]

  def position(self, step: int) -> int:
    """Number of the batch that follows after `step` steps."""
    return windows.position(step, self.skips)

  def examples(self, step: int) -> list[int]:
    """Indices of the examples of a step (the first one is 1), slot by slot.

    A broken example that was replaced by the next intact one is named itself.
    """
    parts = self._parts
    stream = pipeline.stream_of(parts.sources["train"], parts.spec)
    slots: Any = stream.slots(self.position(step - 1))[1]
    return np.asarray(slots).tolist()

  def close(self) -> None:
    """Ends the threads behind it."""
    self._stream.close()
