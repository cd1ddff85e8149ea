"""Ridge regression in closed form, float64.

    W = argmin |X W - Y|^2 + l |W|^2 = (X'X + l I)^-1 X'Y = X'(XX' + l I)^-1 Y

The smaller of the two systems is solved.
"""

import numpy as np
import scipy.linalg


def solve(x: np.ndarray, targets: np.ndarray, penalty: float) -> np.ndarray:
  """[d, c] weights.

  Args:
    x: [n, d]; every column is penalised, also a constant one.
    targets: [n, c].
    penalty: l, above 0.
  """
  x, targets = x.astype(np.float64), targets.astype(np.float64)
  n, d = x.shape
  wide = n < d
  gram = x @ x.T if wide else x.T @ x
  gram[np.diag_indices(len(gram))] += penalty
  right = targets if wide else x.T @ targets
  solution = scipy.linalg.solve(gram, right, assume_a="pos")
  return x.T @ solution if wide else solution
