"""How soon noise makes two images the same.

Yue et al. 2024 (DiTi): of two images x, y one is noised, x_t ~ N(a x, s^2 I).
Who guesses best which of them it was, is wrong with probability

    Err = erfc(a |x - y| / (2 sqrt 2 s)) / 2

0 without noise, 1/2 in pure noise, and larger the nearer both are: what is fine
is lost first.
"""

import numpy as np
import scipy.special

from jmim.diffusion import schedule


def error(
  distance: np.ndarray | float, process: schedule.Schedule
) -> np.ndarray:
  """[..., T] float64 Err at each time.

  Args:
    distance: [...] |x - y|_2, over all pixels and channels.
    process: the noise.
  """
  half = np.asarray(distance, np.float64)[..., None] / (2 * np.sqrt(2))
  return scipy.special.erfc(half * process.signal / process.noise) / 2


def lost(
  distance: np.ndarray | float, process: schedule.Schedule, most: float = 0.25
) -> np.ndarray:
  """[...] int, the first time at which Err is at least `most`; else T."""
  above = error(distance, process) >= most
  return np.where(above.any(-1), above.argmax(-1), len(process))
