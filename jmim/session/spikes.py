"""Finds steps whose loss jumps out of the recent ones.

    z = (loss - median) / (1.4826 MAD + 1e-3 |median|)

over the last losses that were no spikes; MAD is the median distance from the
median, which a few wild values do not move (the factor makes it a standard
deviation for normal numbers). The second term is for losses that hardly vary.
"""

import math
from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np

_FEWEST = 16  # losses before anything is called a spike


class Detector:
  """Looks at every loss of a run, in order.

  Attributes:
    recent: the losses that new ones are compared with; part of a checkpoint.
  """

  def __init__(self, limit: float, window: int, recent: Iterable[float] = ()):
    """Keeps its arguments.

    Args:
      limit: z above which a loss is a spike; 0: none ever is.
      window: losses compared with, at most.
      recent: of the run that is continued.
    """
    self.limit, self.window = limit, window
    self.recent = list(recent)

  def reset(self, recent: Iterable[float]) -> None:
    """Compares with other losses: of the point that a run went back to."""
    self.recent = list(recent)

  def z(self, loss: float) -> float:
    """Robust deviations of a loss from the median; 0 while there are few."""
    if len(self.recent) < _FEWEST:
      return 0.0
    median = float(np.median(self.recent))
    mad = float(np.median(np.abs(np.asarray(self.recent) - median)))
    spread = 1.4826 * mad + 1e-3 * abs(median)
    return (loss - median) / spread if spread else 0.0

  def update(self, losses: Sequence[float]) -> list[tuple[int, float]]:
    """(index, z) of the spikes among the next losses; others join `recent`.

    Those that are not finite are left out: their steps were skipped.
    """
    if not self.limit:
      return []
    jumps = []
    for i, loss in enumerate(losses):
      if not math.isfinite(loss):
        continue
      z = self.z(loss)
      if z > self.limit:
        jumps.append((i, z))
      else:
        self.recent = [*self.recent, float(loss)][-self.window :]
    return jumps
