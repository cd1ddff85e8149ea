"""Maps of what is where in an image, cut on the host as the image is cut."""

import numpy as np

from jmim.data import decode

# (top, left, height, width), in shares of the image.
Box = tuple[float, float, float, float]


def cut(values: np.ndarray, box: Box, size: int | decode.Sides) -> np.ndarray:
  """A box of a map resized, by nearest values: ids cannot be mixed.

  Args:
    values: [h, w, ...] of any type.
    box: inside the map.
    size: side of the result, or (height, width).

  Returns:
    [height, width, ...]: each pixel is the one below its centre.
  """
  top, left, height, width = box
  high, wide = decode.sides_of(size)
  rows, columns = (
    _nearest(start, extent, side, n)
    for start, extent, side, n in (
      (top, height, high, values.shape[0]),
      (left, width, wide, values.shape[1]),
    )
  )
  return values[rows][:, columns]


def _nearest(start: float, extent: float, size: int, n: int) -> np.ndarray:
  """Which of n pixels lie below the centres of `size` pixels of a range."""
  centres = start + extent * (np.arange(size) + 0.5) / size
  return np.clip(np.floor(centres * n).astype(int), 0, n - 1)


def central(
  height: int, width: int, size: int | decode.Sides, resize_to: int = 0
) -> Box:
  """What `decode.center` shows of an image, as shares of it."""
  whole = decode.covering(height, width, decode.enlarged(size, resize_to))
  sides = decode.sides_of(size)
  top, left = (
    round((n - s) / 2) / n for n, s in zip(whole, sides, strict=True)
  )
  return top, left, sides[0] / whole[0], sides[1] / whole[1]
