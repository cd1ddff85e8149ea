"""Mouths read back from pictures of `portraits`, and the colour of the skin.

Green beside red is 0.2 in lips, 0.33 inside of a mouth, and 0.53 or more in
skin, in any light. What is surely mouth says where it is; there, with s the
middle colour of the skin,

    share = 1 - (green - red / 4) / (s_green - s_red / 4)      of a pixel

is linear in how much of it is mouth. The opening is the height of the mouth in
the columns round its middle; lips add 1 unit to it, always.
"""

import colorsys

import numpy as np

from jmim.data.procedural import faces

ROWS = (16.0, 26.5)  # where mouths may be, below hair and above clothes
COLUMNS = (6.0, 26.0)
SKIN = ((17.0, 22.0), (12.0, 20.0))  # where some skin is, whatever the pose
NEAR = (3.5, 1.5)  # rows and columns from the middle that are read [units]
USUAL = (20.0, 16.0)  # place of a mouth that is not seen
_MOUTH, _NO_MOUTH = 0.36, 0.52  # green over red, surely or surely not
_BETWEEN = 0.25  # of lips and of what is inside


def opening(images: np.ndarray) -> np.ndarray:
  """[n] height of each mouth, lips included, in 1/32 of the side.

  Args:
    images: [n, s, s, 3] uint8 or 0 .. 255.
  """
  images = np.asarray(images, np.float64)
  found = [_opening(*pair) for pair in zip(images, _skin(images), strict=True)]
  return np.array(found)


def _places(side):
  """[side] middles of pixels in units."""
  return (np.arange(side) + 0.5) * faces.SIDE / side


def _opening(image, skin):
  at = _places(len(image))
  y, x = np.meshgrid(at, at, indexing="ij")
  red, green = image[..., 0], image[..., 1]
  inside = (y > ROWS[0]) & (y < ROWS[1]) & (x > COLUMNS[0]) & (x < COLUMNS[1])
  sure = (
    np.clip(
      (_NO_MOUTH - green / np.maximum(red, 1)) / (_NO_MOUTH - _MOUTH), 0, 1
    )
    * inside
  )
  middle = USUAL
  if sure.sum() > 0.5:
    middle = [(sure * place).sum() / sure.sum() for place in (y, x)]
  rows = np.abs(at - middle[0]) < NEAR[0]
  columns = np.abs(at - middle[1]) < NEAR[1]
  lack = lambda red, green: green - _BETWEEN * red
  share = 1 - lack(red, green) / max(lack(*skin[:2]), 1)
  share = np.clip(share, 0, 1)[rows][:, columns]
  return share.sum(0).mean() * faces.SIDE / len(image)


def _skin(images):
  """[n, 3] middle colour of what is no mouth, near it."""
  at = _places(images.shape[1])
  rows, columns = ((at > low) & (at < high) for low, high in SKIN)
  found = []
  for pixels in images[:, rows][:, :, columns].reshape(len(images), -1, 3):
    skin = pixels[pixels[:, 1] > _NO_MOUTH * pixels[:, 0]]
    found.append(np.median(skin if len(skin) else pixels, axis=0))
  return np.array(found)


def skin_hue(images: np.ndarray) -> np.ndarray:
  """[n] hue in 0 .. 1 of the middle colour of the skin.

  Args:
    images: [n, s, s, 3] uint8 or 0 .. 255.
  """
  colours = _skin(np.asarray(images, np.float64)) / 255
  return np.array([colorsys.rgb_to_hsv(*colour)[0] for colour in colours])
