"""Batches made ahead by Grain, in order, and closed without a trace.

All threads of a process decode for one batch, or the next (`pool`); worker
processes make batches of their own. At most `prefetch` batches are in memory,
whatever the threads and the source; with workers at most three of each.
"""

import atexit
import contextlib
import dataclasses
import functools
import gc
import logging
import weakref
from collections.abc import Callable
from collections.abc import Iterator

import grain
import numpy as np
from absl import flags

from jmim.core import errors
from jmim.data import sources
from jmim.data import specs
from jmim.data import worker

Batch = dict[str, np.ndarray]
# A batch, and why examples were left out of it: {index: "name: reason"}.
Made = tuple[Batch, dict[int, str]]


class Skipped:
  """Names the examples left out, once each, and how many there may be."""

  def __init__(self, source: sources.Source, spec: specs.Spec):
    """`spec` says how large their share may be."""
    self._n, self._share = len(source), spec.max_bad_share
    self._bad: set[int] = set()

  def warn(self, bad: dict[int, str]) -> None:
    """Logs what is new; raises UserError if there are too many."""
    for index, reason in bad.items():
      if index in self._bad:
        continue
      self._bad.add(index)
      logging.warning("skipped %s (%d so far)", reason, len(self._bad))
      if len(self._bad) > self._share * self._n:
        raise errors.UserError(
          f"{len(self._bad)} of {self._n} examples are broken; the last: "
          f"{reason}",
          f"at most {self._share:.1%}",
          "look at those named in the warnings, or raise data.max_bad_share",
          "data.max_bad_share",
        )


@dataclasses.dataclass(frozen=True)
class Steps:
  """Random access over steps, which is what Grain reads from.

  Attributes:
    batch: step -> what is made of it.
    length: steps in all.
    stop: makes the batches in the making give up.
  """

  batch: Callable[[int], Made]
  length: int
  stop: Callable[[], None]

  def __len__(self) -> int:
    return self.length

  def __getitem__(self, step: int) -> Made:
    return self.batch(step)


def open(
  steps: Steps, spec: specs.Spec, start: int, skipped: Skipped
) -> Iterator[Batch]:
  """Batches from `start` on, in order, made ahead by threads or processes.

  Args:
    steps: makes the batch of any step.
    spec: threads, workers, prefetch.
    start: step of the first batch.
    skipped: warns of what was left out of the batches.

  Returns:
    An iterator; its `close()`, or dropping it, ends threads and processes.
  """
  assert start >= 0, start
  ahead = min(2, spec.prefetch) if spec.workers else spec.prefetch
  # Threads that wait for those of the reader; a second one, so that these have
  # the next batch to go on with while the last pictures of one are made.
  options = grain.ReadOptions(
    num_threads=min(spec.threads, ahead, 2), prefetch_buffer_size=ahead
  )
  data = grain.MapDataset.source(steps)[start:].to_iter_dataset(options)
  if spec.workers:
    # Grain reads one of its flags when it starts a process; in a notebook or
    # a test nobody has parsed any, and absl refuses.
    if not flags.FLAGS.is_parsed():
      flags.FLAGS.mark_as_parsed()
    ahead = max(1, spec.prefetch // spec.workers)
    data = data.mp_prefetch(
      grain.MultiprocessingOptions(spec.workers, ahead),
      worker_init_fn=worker.start,
    )
  batches = _hand_out(iter(data), steps, spec, skipped)
  # Also where the interpreter ends with an open stream: later it is too late
  # to give back memory that is shared with workers.
  at_exit = functools.partial(_close, weakref.ref(batches))
  atexit.register(at_exit)
  weakref.finalize(batches, atexit.unregister, at_exit).atexit = False
  return batches


def _hand_out(
  batches: Iterator[Made], steps: Steps, spec: specs.Spec, skipped: Skipped
) -> Iterator[Batch]:
  """Batches that nobody else holds."""
  try:
    with worker.hold_signals() if spec.workers else contextlib.nullcontext():
      made = next(batches, None)
    while made is not None:
      batch, bad = made
      if spec.workers:  # from shared memory, which Grain takes away
        batch = {k: np.array(x) for k, x in batch.items()}
      skipped.warn(bad)
      del made
      yield batch
      made = next(batches, None)
  finally:  # maybe when there are no more functions of this module
    steps.stop()
    batches.close()


def _close(batches: weakref.ref[Iterator[Batch]]) -> None:
  if (still_open := batches()) is not None:
    still_open.close()
    gc.collect()  # what Grain's iterators still hold
