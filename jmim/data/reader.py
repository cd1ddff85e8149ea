"""Makes one batch: reads, decodes and crops many examples into one array."""

import logging
import threading
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.data import decode
from jmim.data import sources

Batch = dict[str, np.ndarray]
# (image uint8 [h, w, c], epoch, index) -> uint8 [size, size, c].
Crop = Callable[[np.ndarray, int, int], np.ndarray]

# So many broken examples in a row are no accident.
_MAX_BAD_RUN = 100


class Reader:
  """Reads, decodes and crops into one array; safe to call from many threads."""

  def __init__(
    self,
    source: sources.Source,
    crop: Crop,
    size: int,
    channels: int,
    skip_bad: bool,
  ):
    """Prepares to read; reads nothing yet.

    Args:
      source: at least one example.
      crop: makes a decoded image square.
      size: side of what `crop` makes, in pixels.
      channels: 1 (grey) or 3 (RGB).
      skip_bad: put the next intact example in the place of a broken one,
        instead of raising.
    """
    self._source, self._crop = source, crop
    self._size, self._channels, self._skip_bad = size, channels, skip_bad
    self._bad: set[int] = set()
    self._lock = threading.Lock()
    self._stopped = False

  def stop(self) -> None:
    """Makes the reads in progress give up, as their threads hold up exit."""
    self._stopped = True

  def read(
    self, index: np.ndarray, epoch: np.ndarray
  ) -> tuple[Batch, np.ndarray]:
    """Makes a batch.

    Args:
      index: int64 [b], the examples.
      epoch: int64 [b], for what is random about them.

    Returns:
      The batch with image, label if any, and index; and bool [b], False where
      the example is broken and another one stands in for it.

    Raises:
      UserError: a broken example, unless skipped, or too many in a row.
      RuntimeError: `stop` was called.
    """
    shape = (len(index), self._size, self._size, self._channels)
    images = np.empty(shape, np.uint8)
    labels, used = [], np.array(index, np.int32)
    for slot, example in enumerate(self._fetch(index.tolist())):
      if self._stopped:
        raise RuntimeError("nobody will ask for this batch")
      used[slot], example, images[slot] = self._decode(
        int(index[slot]), int(epoch[slot]), example
      )
      if "label" in example:
        labels.append(example["label"])
    batch = {"image": images, "index": used}
    if labels:
      batch["label"] = np.array(labels, np.int32)
    return batch, used == index

  def _fetch(self, index: list[int]) -> Iterable[dict[str, Any]]:
    """The examples as stored: at once if the source can, else one by one."""
    if hasattr(self._source, "__getitems__"):
      return self._source.__getitems__(index)
    return (self._source[i] for i in index)

  def _decode(
    self, first: int, epoch: int, example: dict[str, Any]
  ) -> tuple[int, dict[str, Any], np.ndarray]:
    """Example `first`, or the next that is intact: (index, example, image)."""
    n = len(self._source)
    for offset in range(min(n, _MAX_BAD_RUN)):
      index = (first + offset) % n
      if offset:
        example = self._source[index]
      try:
        image = decode.decode(self._image(example), self._channels)
        return index, example, self._crop(image, epoch, index)
      except decode.BadImage as error:
        self._report(index, error)
    raise errors.UserError(
      f"no readable image from {self._source.name(first)} to "
      f"{self._source.name(index)}",
      "images",
      "look at them",
      "data.name",
    )

  def _image(self, example: dict[str, Any]) -> bytes | np.ndarray:
    if "image" not in example:
      raise errors.UserError(
        f"examples with {', '.join(example)}",
        'a feature named "image"',
        "choose a data set of images",
        "data.name",
      )
    return example["image"]

  def _report(self, index: int, error: decode.BadImage) -> None:
    """Raises, or warns once per example."""
    name = self._source.name(index)
    if not self._skip_bad:
      raise errors.UserError(
        f"{name}: {error}",
        "an image that decodes",
        'mend or remove it, or set data.on_bad_record to "skip"',
        "data.on_bad_record",
      ) from error
    with self._lock:
      if index in self._bad:
        return
      self._bad.add(index)
      count = len(self._bad)
    logging.warning("skipped %s (%d so far): %s", name, count, error)
