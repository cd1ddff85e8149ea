"""From a source to batches of uint8 images on the host, in a computed order.

A batch is a function of (seed, step): `order` says which examples it holds, and
what is random about an example is drawn from (seed, epoch, index). So the
batches do not depend on the number of hosts, workers or threads, and a run
resumes at any step without replaying what came before.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from jmim.core import errors
from jmim.data import groups
from jmim.data import inputs as checks
from jmim.data import order
from jmim.data import reader
from jmim.data import sources
from jmim.data import specs
from jmim.data import stream
from jmim.data import views
from jmim.data import worker

Spec = specs.Spec
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
  slots = stream_of(source, spec)
  examples = _reader(source, spec, training=True)
  repeats = slots.repeats()[mine]

  def batch(step: int) -> stream.Made:
    epoch, index = slots.slots(step)
    return examples.read(index[mine], epoch[mine], repeats)

  steps = stream.Steps(batch, _ENDLESS, examples.stop)
  return stream.open(steps, spec, start_step, stream.Skipped(source, spec))


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

  def batch(step: int) -> stream.Made:
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

  steps = stream.Steps(batch, -(-count // spec.batch), examples.stop)
  here = dataclasses.replace(spec, workers=0)
  return stream.open(steps, here, 0, stream.Skipped(source, spec))


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
      another shape, kind or range, in this example or, where all of them lie
      in memory, in any.
  """
  if inputs is not None:
    checks.check_stored(source, inputs, unlabelled=not training)
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
  worker.expect_odd_pictures()
  skip = spec.on_bad_record == "skip"
  # In evaluation an example without a label stays: who reads it leaves it out.
  rules = reader.Rules(spec.reads, skip_bad=skip, unlabelled=not training)
  make = views.Maker(spec, training)
  if spec.group:
    make = groups.Maker(make=make, key=spec.group, members=spec.members)
  return reader.Reader(
    source,
    make,
    seed=spec.seed,
    rules=rules,
    threads=spec.threads,
    processes=max(1, spec.workers),
  )
