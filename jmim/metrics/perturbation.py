"""How a change of an image looks: how rough it is.

    TV   = mean |d(y, x + 1) - d(y, x)| + mean |d(y + 1, x) - d(y, x)|
    high = share of the energy of d at more than half the highest frequency

float64 in numpy; d is the changed image less the plain one.
"""

import numpy as np


def variation(change: np.ndarray) -> np.ndarray:
  """[n] total variation of changes [n, h, w, c], per pixel."""
  d = np.asarray(change, np.float64)
  along = lambda axis: np.abs(np.diff(d, axis=axis)).mean((1, 2, 3))
  return along(1) + along(2)


def high_share(change: np.ndarray) -> np.ndarray:
  """[n] share of high frequencies in the energy of changes [n, h, w, c].

  High are those of which |f_y| or |f_x| is above a quarter of a cycle per
  pixel; of white noise they have about three quarters. 0 of no change.
  """
  d = np.asarray(change, np.float64)
  energy = np.abs(np.fft.fft2(d, axes=(1, 2))) ** 2
  y, x = (np.abs(np.fft.fftfreq(n)) for n in d.shape[1:3])
  high = (y[:, None] > 0.25) | (x[None, :] > 0.25)
  whole = energy.sum((1, 2, 3))
  found = (energy * high[..., None]).sum((1, 2, 3))
  return found / np.where(whole > 0, whole, 1.0)
