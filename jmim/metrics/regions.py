"""Regions of an image without masks: pieces of equal colour.

The colours are those of k means; a region is a set of pixels of one of them
that touch, with eight neighbours each. Small ones are left out.
"""

import numpy as np
import scipy.ndimage

from jmim.metrics import kmeans

FITTED = 16_384  # pixels that the colours are fitted to, at most
CHUNK = 65_536  # pixels whose distances are held at once


def quantised(image: np.ndarray, colours: int, seed: int = 0) -> np.ndarray:
  """int [h, w]: the nearest of the colours that k means finds.

  Args:
    image: uint8 [h, w, c] of at least so many pixels.
    colours: k.
    seed: of the pixels that are fitted, and of the start.
  """
  pixels = image.reshape(-1, image.shape[-1]).astype(np.float32)
  rng = np.random.default_rng(seed)
  chosen = rng.permutation(len(pixels))[:FITTED]
  codes = kmeans.lloyd(pixels[chosen], colours, seed=seed).codes
  nearest = [
    ((pixels[i : i + CHUNK, None] - codes) ** 2).sum(-1).argmin(1)
    for i in range(0, len(pixels), CHUNK)
  ]
  return np.concatenate(nearest).reshape(image.shape[:2])


def components(
  image: np.ndarray, colours: int = 6, least: int = 16, seed: int = 0
) -> np.ndarray:
  """int32 [h, w]: regions 1, 2, ...; 0: in none, as it would be too small.

  Args:
    image: uint8 [h, w, c].
    colours: of the quantisation.
    least: pixels of a region.
    seed: as of `quantised`.
  """
  colour = quantised(image, colours, seed)
  found, count = np.zeros(image.shape[:2], np.int32), 0
  for k in range(colours):
    pieces, n = scipy.ndimage.label(colour == k, np.ones((3, 3)))
    kept = np.bincount(pieces.ravel(), minlength=n + 1) >= least
    kept[0] = False
    number = np.where(kept, count + np.cumsum(kept), 0)
    found += number[pieces].astype(np.int32)
    count += int(kept.sum())
  return found
