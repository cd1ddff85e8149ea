"""From a source to batches of uint8 images on the host, in a computed order.

A batch is a function of (seed, step): `order` says which examples it holds, and
what is random about an example is drawn from (seed, epoch, index). So the
batches do not depend on the number of hosts or threads, and a run resumes at
any step without replaying what came before.

Grain makes batches ahead in threads, one batch each, and hands them out in
order. At most `prefetch` batches are in memory, whatever the source.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Iterator

import grain
import numpy as np

from jmim.core import errors
from jmim.data import decode
from jmim.data import order
from jmim.data import reader
from jmim.data import sources

# Nobody trains this long; Grain wants a length.
_ENDLESS = 2**48


@dataclasses.dataclass(frozen=True)
class Spec:
  """How batches are made. Sides in pixels, `batch` over all hosts.

  Attributes:
    batch: global batch.
    size: side of the images handed out.
    channels: 1 (grey) or 3 (RGB).
    host_crop: of training images: "none" (they are `size` already), "center"
      or "resized" (a random box, resized).
    eval_crop: of evaluation images: "none" or "center".
    eval_resize: short side before a centre crop; 0 is `size`.
    crop_scale: least and greatest area of the random box, as a share.
    crop_ratio: least and greatest width / height of the random box.
    seed: of the order and of the random boxes.
    threads: that decode; 0 decodes when a batch is asked for.
    prefetch: batches held ready or in the making.
    on_bad_record: "raise", or "skip" to go on with the next that decodes.
  """

  batch: int
  size: int
  channels: int = 3
  host_crop: str = "none"
  eval_crop: str = "none"
  eval_resize: int = 0
  crop_scale: tuple[float, float] = (0.2, 1.0)
  crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
  seed: int = 0
  threads: int = 2
  prefetch: int = 4
  on_bad_record: str = "raise"

  def __post_init__(self):
    low, high = self.crop_scale
    narrow, wide = self.crop_ratio
    self._check("batch", self.batch >= 1, "at least 1")
    self._check("size", self.size >= 1, "at least 1")
    self._check("channels", self.channels in (1, 3), "1 or 3")
    self._check(
      "host_crop",
      self.host_crop in ("none", "center", "resized"),
      "none, center or resized",
    )
    self._check(
      "eval_crop", self.eval_crop in ("none", "center"), "none or center"
    )
    self._check(
      "eval_resize",
      self.eval_resize == 0 or self.eval_resize >= self.size,
      f"0, or at least size = {self.size}",
    )
    self._check(
      "crop_scale", 0 < low <= high <= 1, "0 < least <= greatest <= 1"
    )
    self._check("crop_ratio", 0 < narrow <= wide, "0 < least <= greatest")
    self._check("threads", self.threads >= 0, "at least 0")
    self._check("prefetch", self.prefetch >= 1, "at least 1")
    self._check(
      "on_bad_record", self.on_bad_record in ("raise", "skip"), "raise or skip"
    )

  def _check(self, field: str, fine: bool, expected: str) -> None:
    if not fine:
      key = f"data.{field}"
      raise errors.UserError(
        f"{field} = {getattr(self, field)!r}", expected, f"change {key}", key
      )


def train(
  source: sources.Source,
  spec: Spec,
  start_step: int = 0,
  process_index: int = 0,
  process_count: int = 1,
) -> Iterator[reader.Batch]:
  """The endless stream of training batches of one host.

  Args:
    source: at least one example.
    spec: how batches are made.
    start_step: step of the first batch handed out.
    process_index: this host.
    process_count: number of hosts.

  Returns:
    An iterator (its `close()`, or dropping it, ends the threads) of dicts:
    image uint8 [b, size, size, channels]; label int32 [b] if the source has
    any; index int32 [b], which examples they are. b is the share of this host.

  Raises:
    UserError: the batch does not divide over the hosts; and later, from the
      iterator, an image that cannot be read or has the wrong size.
  """
  mine = order.host_slice(spec.batch, process_index, process_count)
  stream = order.Order(_checked_len(source), spec.batch, spec.seed)
  examples = _reader(source, spec, _train_crop(source, spec))

  def batch(step: int) -> reader.Batch:
    epoch, index = stream.slots(step)
    made, _ = examples.read(index[mine], epoch[mine])
    return made

  return _prefetched(_Steps(batch, _ENDLESS, examples.stop), spec, start_step)


def evaluate(
  source: sources.Source,
  spec: Spec,
  limit: int | None = None,
  process_index: int = 0,
  process_count: int = 1,
) -> Iterator[reader.Batch]:
  """Every example once, over all hosts, in the order of the source.

  Hosts get equally many batches; the last is filled up with example 0. A broken
  example that is skipped becomes a filler: its substitute would count twice.

  Args:
    source: at least one example.
    spec: how batches are made.
    limit: take only this many, a random part, always the same.
    process_index: this host.
    process_count: number of hosts.

  Returns:
    An iterator of dicts as those of `train`, and valid bool [b]: False for
    fillers, whose index is -1.

  Raises:
    UserError: as `train`; or limit < 1.
  """
  n = _checked_len(source)
  count = n if limit is None else _checked_limit(limit, n)
  mine = order.host_slice(spec.batch, process_index, process_count)
  examples = _reader(source, spec, _eval_crop(source, spec))

  def batch(step: int) -> reader.Batch:
    position = step * spec.batch + np.arange(spec.batch)[mine]
    real = position < count
    # A limited part is not the first ones: files are often sorted by class.
    index = (
      position % n
      if limit is None
      else order.permutation(n, 0, 0, position % n)
    )
    index = np.where(real, index, 0)
    made, intact = examples.read(index, np.zeros_like(index))
    valid = real & intact
    made["index"] = np.where(valid, made["index"], -1).astype(np.int32)
    return made | {"valid": valid}

  steps = -(-count // spec.batch)
  return _prefetched(_Steps(batch, steps, examples.stop), spec, 0)


def _checked_limit(limit: int, n: int) -> int:
  if limit < 1:
    raise errors.UserError(
      f"a limit of {limit} examples", "at least 1, or None for all", "raise it"
    )
  return min(limit, n)


def _checked_len(source: sources.Source) -> int:
  n = len(source)
  if n >= 2**31:
    raise errors.UserError(
      f"{n} examples", "fewer than 2**31", "take a part of them", "data.name"
    )
  return n


def _reader(
  source: sources.Source, spec: Spec, crop: reader.Crop
) -> reader.Reader:
  skip = spec.on_bad_record == "skip"
  return reader.Reader(source, crop, spec.size, spec.channels, skip)


def _train_crop(source: sources.Source, spec: Spec) -> reader.Crop:
  if spec.host_crop == "resized":
    return lambda image, epoch, index: decode.resized_crop(
      image,
      spec.size,
      spec.crop_scale,
      spec.crop_ratio,
      example_rng(spec.seed, epoch, index),
    )
  return _plain_crop(source, spec.host_crop, spec.size, 0, "data.host_crop")


def _eval_crop(source: sources.Source, spec: Spec) -> reader.Crop:
  return _plain_crop(
    source, spec.eval_crop, spec.size, spec.eval_resize, "data.eval_crop"
  )


def _plain_crop(
  source: sources.Source, crop: str, size: int, resize: int, key: str
) -> reader.Crop:
  if crop == "center":
    return lambda image, epoch, index: decode.center(
      image, size, resize or size
    )
  return lambda image, epoch, index: decode.fit(
    image, size, source.name(index), key
  )


def example_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
  """What is random about one example in one epoch is drawn from this."""
  entropy = np.random.SeedSequence([seed % 2**64, epoch, index])
  return np.random.Generator(np.random.Philox(entropy))


@dataclasses.dataclass(frozen=True)
class _Steps:
  """Random access over steps, which is what Grain reads from."""

  batch: Callable[[int], reader.Batch]
  length: int
  stop: Callable[[], None]

  def __len__(self) -> int:
    return self.length

  def __getitem__(self, step: int) -> reader.Batch:
    return self.batch(step)


def _prefetched(
  steps: _Steps, spec: Spec, start: int
) -> Iterator[reader.Batch]:
  """Batches from `start` on, in order, made ahead by threads."""
  assert start >= 0, start
  options = grain.ReadOptions(
    num_threads=spec.threads, prefetch_buffer_size=spec.prefetch
  )
  data = grain.MapDataset.source(steps)[start:].to_iter_dataset(options)
  batches = iter(data)
  try:
    yield from batches
  finally:
    batches.close()
    steps.stop()
