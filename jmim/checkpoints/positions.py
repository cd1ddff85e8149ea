"""Position tables of another grid than ours."""

import math

import numpy as np

from jmim.nn import posemb


def resize(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """Positions of a square grid on another square grid, bicubic.

  Args:
    value: [..., prefix + h*h, d], the rows of class tokens and the like first.
    shape: of the result, [..., prefix + g*g, d].

  Raises:
    ValueError: other widths, or grids with unequally many tokens before them.
  """
  rows = value.shape[-2], shape[-2]
  sides = [math.isqrt(n) for n in rows]
  before, prefix = (n - side**2 for n, side in zip(rows, sides, strict=True))
  if before != prefix or value.shape[-1] != shape[-1]:
    raise ValueError(f"{value.shape} cannot be resized to {tuple(shape)}")
  old, new = ((side, side) for side in sides)
  return np.asarray(posemb.resize(value, old, new, prefix))
