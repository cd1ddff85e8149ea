"""Whether samples are copies of training examples.

    d_1 <= d_2 <= ...    Euclidean distances of a sample to the training set
    copy                 d_1 < ratio d_2

A copy lies at one training example; a new one is about as far from several
(Yoon et al. 2023, with a ratio of 1/3).
"""

import numpy as np

_BLOCK = 2**25  # distances in memory at a time


def two_nearest(made: np.ndarray, train: np.ndarray) -> np.ndarray:
  """float64 [m, 2] distances to the nearest and second nearest rows.

  Args:
    made: [m, d].
    train: [n, d], n > 1.
  """
  made, train = made.astype(np.float64), train.astype(np.float64)
  center = train.mean(0)  # so that little is lost in the difference below
  made, train = made - center, train - center
  square = (train**2).sum(1)
  rows = max(1, _BLOCK // len(train))
  found = []
  for start in range(0, len(made), rows):
    part = made[start : start + rows]
    near = square - 2 * part @ train.T
    near = np.partition(near, 1, axis=1)[:, :2] + (part**2).sum(1)[:, None]
    found.append(np.sqrt(np.maximum(near, 0.0)))
  return np.concatenate(found)


def is_new(nearest: np.ndarray, ratio: float) -> np.ndarray:
  """bool [m] of distances [m, 2]: those that are no copies."""
  return nearest[:, 0] >= ratio * nearest[:, 1]
