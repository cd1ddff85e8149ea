"""What pictures of many kinds are drawn with."""

from collections.abc import Sequence

import numpy as np


def levels(image: np.ndarray) -> np.ndarray:
  """uint8 of levels 0 .. 255, rounded; what lies beyond is cut."""
  return image.round().clip(0, 255).astype(np.uint8)


def means(fine: np.ndarray, samples: int) -> np.ndarray:
  """[h, w, ...]: means over the areas of pixels.

  Args:
    fine: [h samples, w samples, ...].
    samples: along a side of a pixel.
  """
  h, w = (n // samples for n in fine.shape[:2])
  each = fine.reshape(h, samples, w, samples, *fine.shape[2:])
  return each.mean((1, 3))


def gradient(
  ends: Sequence[Sequence[float]], angle: float, y: np.ndarray, x: np.ndarray
) -> np.ndarray:
  """[..., c]: from one colour to the other over the square 0 .. 1.

  Args:
    ends: colours at one corner or edge and at the opposite one.
    angle: direction, from x to y [radians].
    y: heights, to be broadcast with x.
    x: widths.
  """
  sin, cos = np.sin(angle), np.cos(angle)
  # 0 .. 1 over the extent of the square in this direction.
  share = 0.5 + (sin * (y - 0.5) + cos * (x - 0.5)) / (abs(sin) + abs(cos))
  start, end = np.array(ends)
  return start + share[..., None] * (end - start)
