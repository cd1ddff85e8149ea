"""Linear maps in which edits stay near their origins: a closed form.

    R = mean (z' - z) (z' - z)^T      residuals of edits z' of origins z
    S = mean (z - m) (z - m)^T        spread of the origins, m their mean
    W = argmax tr(W S W^T) / tr(W R W^T) with W R W^T = I

The rows of W are the generalised eigenvectors of S w = l R w of the greatest
l: directions in which origins differ most for what edits do to them. It is
what the trained map of OriPID (Wang et al. 2025) should come to; an oracle,
since it is told which z' belongs to which z.
"""

import numpy as np


def second_moment(x: np.ndarray) -> np.ndarray:
  """mean x x^T: [d, d] float64 of rows [n, d]."""
  x = np.asarray(x, np.float64)
  return x.T @ x / len(x)


def closed_form(
  origins: np.ndarray,
  residuals: np.ndarray,
  width: int,
  ridge: float = 1e-3,
) -> np.ndarray:
  """The map that maximises the ratio above.

  Args:
    origins: z [n, d].
    residuals: z' - z [m, d], of any edits.
    width: rows of W, at most d.
    ridge: added to the diagonal of R, as a share of its mean: few residuals
      leave directions empty in which edits would seem to do nothing.

  Returns:
    W^T [d, width] float64, the best direction first; features are z W^T.

  Raises:
    ValueError: more rows than dimensions, or residuals that are all 0.
  """
  origins = np.asarray(origins, np.float64)
  d = origins.shape[1]
  if not 1 <= width <= d:
    raise ValueError(f"width {width} for {d} dimensions")
  r = second_moment(residuals)
  if not np.trace(r) > 0:
    raise ValueError("residuals that are all 0: every map is as good")
  r += ridge * np.trace(r) / d * np.eye(d)
  s = second_moment(origins - origins.mean(0))
  # S w = l R w with R = L L^T: an ordinary problem of L^-1 S L^-T.
  half = np.linalg.cholesky(r)
  inner = np.linalg.solve(half, np.linalg.solve(half, s).T)
  _, vectors = np.linalg.eigh((inner + inner.T) / 2)
  return np.linalg.solve(half.T, vectors[:, ::-1][:, :width])


def ratio(
  kernel: np.ndarray, origins: np.ndarray, residuals: np.ndarray
) -> float:
  """tr(W S W^T) / tr(W R W^T) of W^T [d, k]; as many times as edits move."""
  spread = (np.asarray(origins, np.float64) - np.mean(origins, 0)) @ kernel
  moved = np.asarray(residuals, np.float64) @ kernel
  return float((spread**2).sum(1).mean() / (moved**2).sum(1).mean())
