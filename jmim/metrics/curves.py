"""What two curves of training say of each other; float64.

    rauc  = integral of ours / integral of base, trapezoids, over the steps
            that both have
    reach = the first step from which on a curve is where it is to be

RAUC is a name of MTO (Choi et al. 2024); this definition is not theirs, whose
text could not be read.
"""

from collections.abc import Mapping

import numpy as np


def rauc(ours: Mapping[int, float], base: Mapping[int, float]) -> float:
  """Area under a curve of accuracy over that of the baseline.

  Args:
    ours: step -> accuracy, above 0.
    base: the same of the baseline.

  Raises:
    ValueError: fewer than two steps that both have.
  """
  steps = sorted(set(ours) & set(base))
  if len(steps) < 2:
    raise ValueError(f"steps {sorted(ours)} and {sorted(base)}: none to join")
  area = lambda curve: np.trapezoid([curve[s] for s in steps], steps)
  return float(area(ours) / area(base))


def reach(curve: Mapping[int, float], level: float) -> float:
  """First step at which a curve that falls is at most `level`; inf: never.

  Between two steps it is taken to be straight.
  """
  steps = sorted(curve)
  for before, after in zip([None, *steps], steps, strict=False):
    if curve[after] <= level:
      if before is None:
        return float(after)
      share = (curve[before] - level) / (curve[before] - curve[after])
      return float(before + share * (after - before))
  return float("inf")
