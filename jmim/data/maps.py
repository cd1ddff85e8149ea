"""Maps of what is where in an image, cut on the host as the image is cut."""

import numpy as np

# (top, left, height, width), in shares of the image.
Box = tuple[float, float, float, float]


def cut(values: np.ndarray, box: Box, size: int) -> np.ndarray:
  """A box of a map as a square, by nearest values: ids cannot be mixed.

  Args:
    values: [h, w, ...] of any type.
    box: inside the map.
    size: side of the result.

  Returns:
    [size, size, ...]: each pixel is the one below its centre.
  """
  top, left, height, width = box
  rows, columns = (
    _nearest(start, extent, size, n)
    for start, extent, n in (
      (top, height, values.shape[0]),
      (left, width, values.shape[1]),
    )
  )
  return values[rows][:, columns]


def _nearest(start: float, extent: float, size: int, n: int) -> np.ndarray:
  """Which of n pixels lie below the centres of `size` pixels of a range."""
  centres = start + extent * (np.arange(size) + 0.5) / size
  return np.clip(np.floor(centres * n).astype(int), 0, n - 1)


def central(height: int, width: int, size: int, resize_to: int) -> Box:
  """What `decode.center` shows of an image, as shares of it."""
  short = min(height, width)
  sides = (resize_to * height // short, resize_to * width // short)
  top, left = (round((side - size) / 2) / side for side in sides)
  return top, left, size / sides[0], size / sides[1]
