"""Accuracy of class scores."""

import numpy as np


def topk(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
  """Percent of rows whose label is among the k highest scores.

  Args:
    scores: [m, classes]; of equal scores the first class counts as higher.
    labels: [m].
    k: how many guesses are allowed.
  """
  best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
  return 100.0 * float(np.mean((best == labels[:, None]).any(1)))
