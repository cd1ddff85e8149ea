"""What the features of a TFDS data set may do, which come with its files.

Their classes are named in features.json, and TFDS imports the modules of those
it does not know: here only its own. Of pictures, `image` stays encoded and is
read like any other file. Masks, maps and frames are decoded by TFDS, whose
decoder opens whatever OpenCV knows; here it is given only what `formats` knows.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from jmim.core import errors
from jmim.data import formats

_OURS = "tensorflow_datasets."
_LOCK = threading.Lock()


@contextlib.contextmanager
def only_known() -> Iterator[None]:
  """While a data set is opened, no module is imported because it says so.

  Those of TFDS are, and what the program has imported already is there.

  Raises:
    UserError: the data set has a feature of another module.
  """
  connector = tfds.features.FeatureConnector
  theirs = connector.__dict__["cls_from_name"]

  def known(cls, name: str) -> Any:
    module = name.rpartition(".")[0]
    if not module.startswith(_OURS) and module not in sys.modules:
      raise errors.UserError(
        f"the data set has a feature of the class {name}",
        "features of TFDS: nothing is imported because a file says so",
        f"if you trust it, import {module} before (a recipe may do that)",
        "data.name",
      )
    return theirs.__get__(None, cls)(name)

  with _LOCK:
    connector.cls_from_name = classmethod(known)
    try:
      yield
    finally:
      connector.cls_from_name = theirs


class _Checked(tfds.decode.Decoder):
  """TFDS' own decoder, of files that were looked at."""

  def __init__(self, max_pixels: int):
    """Keeps the limit of `formats.check`."""
    super().__init__()
    self._max_pixels = max_pixels

  def decode_example(self, serialized_example: Any) -> Any:
    raise NotImplementedError("TensorFlow is not used")

  def decode_example_np(self, serialized_example: bytes) -> np.ndarray:
    """The picture, as the feature says.

    Raises:
      BadImage: it is in no known format, too large or damaged.
    """
    formats.check(serialized_example, self._max_pixels)
    try:
      return self.feature.decode_example_np(serialized_example)
    except MemoryError:
      raise
    except Exception as error:
      # What OpenCV cannot decode is None, and TFDS stumbles over it.
      text = "a picture beside the image that is damaged"
      raise formats.BadImage(text) from error

  def decode_batch_example_np(self, batch: Any) -> list[np.ndarray]:
    """Those of a sequence."""
    return [self.decode_example_np(one) for one in batch]


def decoders(
  features: tfds.features.FeaturesDict, max_pixels: int = formats.MAX_PIXELS
) -> dict[str, Any]:
  """Decoders for the pictures of a data set, as `as_data_source` takes them.

  Args:
    features: of the data set.
    max_pixels: of the largest picture that is decoded; it does not hold for
      `image`, which is not decoded here.
  """
  found = _checked(features, max_pixels)
  top = dict(features.items())
  if isinstance(top.get("image"), tfds.features.Image):
    found["image"] = tfds.decode.SkipDecoding()
  return found


def _checked(feature: Any, max_pixels: int) -> Any:
  """The same nesting with a decoder at each picture; {}: there is none."""
  while isinstance(feature, tfds.features.Sequence):
    feature = feature.feature
  if isinstance(feature, tfds.features.Image):
    return _Checked(max_pixels)
  if not isinstance(feature, tfds.features.FeaturesDict):
    return {}
  inner = {name: _checked(f, max_pixels) for name, f in feature.items()}
  return {name: found for name, found in inner.items() if found}
