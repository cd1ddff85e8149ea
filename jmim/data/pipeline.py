"""From a source to batches of uint8 images on the host, in a computed order.

A batch is a function of (seed, step): `order` says which examples it holds, and
what is random about an example is drawn from (seed, epoch, index). So the
batches do not depend on the number of hosts, workers or threads, and a run
resumes at any step without replaying what came before.

Grain makes batches ahead in threads or worker processes, one batch each, and
hands them out in order. At most `prefetch` batches are in memory, whatever the
source (with more workers than that, one per worker).
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
from jmim.data import inputs as checks
from jmim.data import order
from jmim.data import reader
from jmim.data import sources
from jmim.data import specs
from jmim.data import views
from jmim.data import worker

Spec = specs.Spec
# A batch, and why examples were left out of it: {index: "name: reason"}.
Made = tuple[reader.Batch, dict[int, str]]

# Nobody trains this long; Grain wants a length.
_ENDLESS = 2**48


def training_batches(
  source: sources.Source,
  spec: Spec,
  start_step: int = 0,
  process_index: int = 0,
  process_count: int = 1,
) -> Iterator[reader.Batch]:
  """The endless stream of training batches of one host.

  Args:
    source: at least one example; a `sources.Mixture` is mixed by its weights.
    spec: how batches are made.
    start_step: step of the first batch handed out.
    process_index: this host.
    process_count: number of hosts.

  Returns:
    An iterator (its `close()`, or dropping it, ends threads and processes) of
    dicts: what docs/data.md lists, images as uint8 [b, ...]; index int32 [b],
    which examples they are. b is the share of this host.

  Raises:
    UserError: the batch does not divide over the hosts; and later, from the
      iterator, an image that cannot be read or has the wrong size.
  """
  mine = order.host_slice(spec.batch, process_index, process_count)
  _length(source)
  stream = stream_of(source, spec)
  examples = _reader(source, spec, training=True)
  repeats = stream.repeats()[mine]

  def batch(step: int) -> Made:
    epoch, index = stream.slots(step)
    return examples.read(index[mine], epoch[mine], repeats)

  steps = _Steps(batch, _ENDLESS, examples.stop)
  return _prefetched(steps, spec, start_step, _Skipped(source, spec))


def stream_of(
  source: sources.Source, spec: Spec
) -> order.Order | order.Mixture:
  """The order in which a source is trained on."""
  parts = getattr(source, "parts", (source,))
  orders = tuple(
    order.Order(
      n=len(part),
      batch=spec.batch,
      seed=spec.seed,
      repeat=spec.repeat_samples,
      drop=spec.remainder == "drop",
    )
    for part in parts
  )
  if hasattr(source, "parts"):
    return order.Mixture(orders, source.weights, spec.seed)
  return orders[0]


def evaluation_batches(
  source: sources.Source,
  spec: Spec,
  limit: int | None = None,
  process_index: int = 0,
  process_count: int = 1,
) -> Iterator[reader.Batch]:
  """Every example once, over all hosts, in the order of the source.

  Hosts get equally many batches; the last is filled up with example 0. A broken
  example that is skipped becomes a filler: its substitute would count twice.
  Made by threads of this process alone, as it is over before workers would
  have started. What is random (views, say) is drawn as in epoch 0.

  Args:
    source: at least one example.
    spec: how batches are made.
    limit: take only this many, a random part, always the same.
    process_index: this host.
    process_count: number of hosts.

  Returns:
    An iterator of dicts as those of `training_batches`, and valid bool [b]:
    False for fillers, whose index is -1.

  Raises:
    UserError: as `training_batches`; or limit < 1.
  """
  n = _length(source)
  count = n if limit is None else _at_most(limit, n)
  mine = order.host_slice(spec.batch, process_index, process_count)
  examples = _reader(source, spec, training=False)

  def batch(step: int) -> Made:
    position = step * spec.batch + np.arange(spec.batch)[mine]
    real = position < count
    # A limited part is not the first ones: files are often sorted by class.
    index = (
      position % n
      if limit is None
      else order.permutation(n, 0, 0, position % n)
    )
    index = np.where(real, index, 0)
    zeros = np.zeros_like(index)
    made, bad = examples.read(index, zeros, zeros)
    valid = real & (made["index"] == index)
    made["index"] = np.where(valid, made["index"], -1).astype(np.int32)
    return made | {"valid": valid}, bad

  steps = _Steps(batch, -(-count // spec.batch), examples.stop)
  here = dataclasses.replace(spec, workers=0)
  return _prefetched(steps, here, 0, _Skipped(source, spec))


def check_example(
  source: sources.Source,
  spec: Spec,
  training: bool,
  inputs: checks.Inputs | None = None,
) -> reader.Batch:
  """Fails early on mistakes that every example would hit.

  Args:
    source: at least one example.
    spec: how batches are made.
    training: as `training_batches` makes it, or as `evaluation_batches`.
    inputs: what a method reads, to be compared with it; None: nothing is.

  Returns:
    A batch of one.

  Raises:
    UserError: as `training_batches`; or an input that is missing, or of
      another shape, kind or range.
  """
  zero = np.zeros(1, int)
  batch = _reader(source, spec, training).read(zero, zero, zero)[0]
  if inputs is not None:
    checks.check_example(spec, batch, inputs)
  return batch


def _at_most(limit: int, n: int) -> int:
  if limit < 1:
    raise errors.UserError(
      f"a limit of {limit} examples", "at least 1, or None for all", "raise it"
    )
  return min(limit, n)


def _length(source: sources.Source) -> int:
  n = len(source)
  if n >= 2**31:
    raise errors.UserError(
      f"{n} examples", "fewer than 2**31", "take a part of them", "data.name"
    )
  return n


def _reader(
  source: sources.Source, spec: Spec, training: bool
) -> reader.Reader:
  if spec.decoder == "turbo":
    worker.one_thread_per_image()
  skip = spec.on_bad_record == "skip"
  return reader.Reader(source, views.Maker(spec, training), spec.seed, skip)


class _Skipped:
  """Names the examples left out, once each, and how many there may be."""

  def __init__(self, source: sources.Source, spec: Spec):
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
class _Steps:
  """Random access over steps, which is what Grain reads from."""

  batch: Callable[[int], Made]
  length: int
  stop: Callable[[], None]

  def __len__(self) -> int:
    return self.length

  def __getitem__(self, step: int) -> Made:
    return self.batch(step)


def _prefetched(
  steps: _Steps, spec: Spec, start: int, skipped: _Skipped
) -> Iterator[reader.Batch]:
  """Batches from `start` on, in order, made ahead by threads or processes."""
  assert start >= 0, start
  options = grain.ReadOptions(
    num_threads=spec.threads,
    prefetch_buffer_size=1 if spec.workers else spec.prefetch,
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
  stream = _handed_out(iter(data), steps, spec, skipped)
  # Also where the interpreter ends with an open stream: later it is too late
  # to give back memory that is shared with workers.
  at_exit = functools.partial(_close, weakref.ref(stream))
  atexit.register(at_exit)
  weakref.finalize(stream, atexit.unregister, at_exit).atexit = False
  return stream


def _handed_out(
  batches: Iterator[Made], steps: _Steps, spec: Spec, skipped: _Skipped
) -> Iterator[reader.Batch]:
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


def _close(stream: weakref.ref[Iterator[reader.Batch]]) -> None:
  if (still_open := stream()) is not None:
    still_open.close()
    gc.collect()  # what Grain's iterators still hold
