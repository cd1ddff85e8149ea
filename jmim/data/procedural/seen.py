"""What a picture of one thing shows, however it came about.

The inverse of `described`: of pictures that a model made, too.
"""

import numpy as np

from jmim.data.procedural import described

# Levels by which a thing differs from the ground; stripes do by 37 at least.
LEAST = 30.0


def one(images: np.ndarray) -> dict[str, np.ndarray]:
  """Measures pictures of one thing on a plain ground.

  A pixel is the thing's if it differs from the ground, the median of the
  pixels at the edge; the colour is the nearest of `described.COLOURS` by hue.

  Args:
    images: uint8 [b, h, w, 3].

  Returns:
    mask bool [b, h, w]; colour int [b]; area [b], a share of the picture;
    centre [b, 2], (y, x) in shares of it. Where nothing is seen: area 0, the
    middle, and a colour that means nothing.
  """
  x = images.astype(np.float32)
  edge = np.concatenate([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]], 1)
  ground = np.median(edge, 1)[:, None, None]
  found = np.linalg.norm(x - ground, axis=-1) > LEAST
  count = found.sum((1, 2))
  mean = _mean(found[..., None], x)
  alike = _unit(mean) @ _unit(described.PALETTE).T
  places = (np.mgrid[: x.shape[1], : x.shape[2]] + 0.5).transpose(1, 2, 0)
  shares = places / np.array(x.shape[1:3])
  centre = np.where(count[:, None], _mean(found[..., None], shares), 0.5)
  return {
    "mask": found,
    "colour": alike.argmax(-1),
    "area": count / found[0].size,
    "centre": centre,
  }


def overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
  """[b] in 0 .. 1: intersection over union of masks bool [b, h, w].

  1 where both are empty.
  """
  both, either = (one & other).sum((1, 2)), (one | other).sum((1, 2))
  return np.where(either, both / np.maximum(either, 1), 1.0)


def _mean(weight: np.ndarray, values: np.ndarray) -> np.ndarray:
  """[b, k]: mean of [b, h, w, k] or [h, w, k] where a weight is True."""
  return (weight * values).sum((1, 2)) / np.maximum(weight.sum((1, 2)), 1)


def _unit(vectors: np.ndarray) -> np.ndarray:
  """[n, k] of length 1; 0 stays 0."""
  return vectors / np.maximum(np.linalg.norm(vectors, axis=-1), 1)[:, None]
