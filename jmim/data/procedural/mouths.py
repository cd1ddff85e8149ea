"""Mouths read back from pictures of `portraits`, and the colour of the skin.

A pixel is of a mouth as far as its green is dark beside its red: 0.2 for lips,
0.33 inside, 0.53 and more for skin, in any light. The opening is the height of
the mouth in the columns round its middle; lips add 1 unit to it, always.
"""

import colorsys

import numpy as np

from jmim.data.procedural import faces

ROWS = (16.0, 26.5)  # where mouths may be, below hair and above clothes
COLUMNS = (6.0, 26.0)
WIDE = 1.5  # half the width of the columns that are read [units]
_MOUTH, _SKIN = 0.36, 0.52  # green over red: all mouth, none


def opening(images: np.ndarray) -> np.ndarray:
  """[n] height of each mouth, lips included, in 1/32 of the side.

  Args:
    images: [n, s, s, 3] uint8 or 0 .. 255.
  """
  share, x = _share(images)
  middle = (share.sum(1) * x).sum(1) / np.maximum(share.sum((1, 2)), 1e-6)
  near = np.abs(x - middle[:, None]) < WIDE
  unit = faces.SIDE / images.shape[1]
  height = (share.sum(1) * near).sum(1) / np.maximum(near.sum(1), 1)
  return height * unit


def _share(images):
  """([n, h, w] how much of a pixel is mouth, [w] its columns in units)."""
  side = images.shape[1]
  at = (np.arange(side) + 0.5) * faces.SIDE / side
  rows = (at > ROWS[0]) & (at < ROWS[1])
  columns = (at > COLUMNS[0]) & (at < COLUMNS[1])
  inside = np.asarray(images, np.float64)[:, rows][:, :, columns]
  ratio = inside[..., 1] / np.maximum(inside[..., 0], 1)
  return np.clip((_SKIN - ratio) / (_SKIN - _MOUTH), 0, 1), at[columns]


def skin_hue(images: np.ndarray) -> np.ndarray:
  """[n] hue in 0 .. 1 of the middle colour around each mouth.

  Args:
    images: [n, s, s, 3] uint8 or 0 .. 255.
  """
  side = images.shape[1]
  at = (np.arange(side) + 0.5) * faces.SIDE / side
  rows, columns = (at > 17) & (at < 22), (at > 12) & (at < 20)
  inside = np.asarray(images, np.float64)[:, rows][:, :, columns]
  found = []
  for pixels in inside.reshape(len(images), -1, 3):
    skin = pixels[pixels[:, 1] > _SKIN * pixels[:, 0]]
    middle = np.median(skin if len(skin) else pixels, axis=0) / 255
    found.append(colorsys.rgb_to_hsv(*middle)[0])
  return np.array(found)
