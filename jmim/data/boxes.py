"""Boxes (top, left, height, width): in pixels of a picture, or in shares."""

import numpy as np

Box = tuple[int, int, int, int]  # in pixels


def shares(box: Box, size: tuple[int, int]) -> np.ndarray:
  """float [4]: a box in pixels of a picture, as shares of it.

  Args:
    box: inside the picture.
    size: (height, width) of the picture.
  """
  return np.array(box) / np.tile(size, 2)


def within(box: np.ndarray, outer: np.ndarray) -> np.ndarray:
  """float32 [4]: shares of `outer`, as shares of what `outer` refers to.

  Args:
    box: [4], in shares of `outer`.
    outer: [4], a box in shares.
  """
  corner = outer[:2] + box[:2] * outer[2:]
  return np.concatenate([corner, box[2:] * outer[2:]]).astype("f4")


def scaled(box: Box, size: tuple[int, int], other: tuple[int, int]) -> Box:
  """The same place in a picture of another size, at least a pixel.

  Args:
    box: in pixels of the picture.
    size: (height, width) of the picture.
    other: of the other one.
  """
  if size == other:
    return box
  factor = np.tile(np.divide(other, size), 2)
  top, left, height, width = (
    np.rint(np.array(box) * factor).astype(int).tolist()
  )
  height, width = max(1, height), max(1, width)
  return min(top, other[0] - height), min(left, other[1] - width), height, width
