"""A part of a resized image, without the rest of it.

Of a picture of 1 x 20,000 pixels, resized to a short side of 256, there would
be 1.3 billion.
"""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image


def resized(
  image: np.ndarray,
  shape: Sequence[int],
  top: int,
  left: int,
  sides: tuple[int, int],
  kernel: str = "bicubic",
) -> np.ndarray:
  """What `decode.resize` to `shape` shows in a part, to a level of rounding.

  Args:
    image: uint8 [h, w, c].
    shape: height and width of the whole, resized.
    top: of the part, in pixels of the resized; so are the next two.
    left: of the part.
    sides: (height, width) of the part, which lies in `shape`.
    kernel: as of `decode.resize`.

  Returns:
    uint8 [height, width, c].
  """
  y, rows = _span(top, sides[0], image.shape[0], shape[0])
  x, columns = _span(left, sides[1], image.shape[1], shape[1])
  image = np.ascontiguousarray(image[y, x])
  height, _, channels = image.shape
  picture = Image.fromarray(image[..., 0] if channels == 1 else image)
  # One axis after the other, as for the whole: there is rounding in between.
  wide = (columns[0], 0, columns[1], height)
  filter_ = Image.Resampling[kernel.upper()]
  picture = picture.resize((sides[1], height), filter_, wide)
  tall = (0, rows[0], sides[1], rows[1])
  found = np.asarray(picture.resize(sides[::-1], filter_, tall))
  return found.reshape(*sides, channels)


def _span(
  start: int, size: int, stored: int, resized: int
) -> tuple[slice, tuple[float, float]]:
  """The stored pixels that some resized ones need, and their place therein."""
  by = stored / resized
  first, last = start * by, min(stored, (start + size) * by)
  reach = 2 * max(1.0, by) + 1  # of the widest kernel, the bicubic
  low, high = max(0, int(first - reach)), min(stored, math.ceil(last + reach))
  return slice(low, high), (first - low, last - low)
