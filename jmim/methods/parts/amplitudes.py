"""How one feature of a deep linear network grows: closed forms.

Littwin et al. 2024 (`theory.jepa_linear` states the problem): with
lambda = Syx_ii, rho = Syx_ii / Sxx_ii and w the amplitude of a feature in each
of L layers,

    JEPA: dw/dt = lambda w^(2L) (1 - w / rho)            ends at w^L = rho^L
    MAE:  dw/dt = lambda w^L (1 - w^(L+1) / rho)   ends at rho^(L / (L+1))
"""

from typing import Any

import numpy as np

OBJECTIVES = ("jepa", "mae")
Number = Any  # a float, or an array of them


def velocity(
  w: Number, lam: Number, rho: Number, depth: int, objective: str
) -> Number:
  """dw/dt of the amplitude w of one feature in each layer; broadcasts."""
  if objective == "jepa":
    return lam * w ** (2 * depth) * (1 - w / rho)
  return lam * w**depth * (1 - w ** (depth + 1) / rho)


def limit(rho: Number, depth: int, objective: str) -> np.ndarray:
  """End-to-end amplitude w^L at which a feature of rho [...] ends."""
  power = depth if objective == "jepa" else depth / (depth + 1)
  return np.asarray(rho) ** power


def closed_form(
  w: Number, w0: Number, lam: Number, rho: Number, depth: int
) -> np.ndarray:
  """[d] times of JEPA from w0 to w, amplitudes per layer; nan beyond rho.

  With dt = dw / (lambda w^(2L) (1 - w / rho)) in partial fractions:

      lambda t = sum_{n=1}^{2L-1} rho^(n+1-2L) (w0^-n - w^-n) / n
                 + rho^(1-2L) log(w (1 - w0/rho) / (w0 (1 - w/rho)))
  """
  n = np.arange(1, 2 * depth)[:, None]
  w, w0, lam, rho = (
    np.atleast_1d(np.asarray(a, float)) for a in (w, w0, lam, rho)
  )
  series = rho ** (n + 1 - 2 * depth) * (w0 ** (-n) - w ** (-n)) / n
  with np.errstate(invalid="ignore"):
    log = np.log(w / w0) - np.log((1 - w / rho) / (1 - w0 / rho))
  return (series.sum(0) + rho ** (1.0 - 2 * depth) * log) / lam


def time_to(
  share: float,
  lam: Number,
  rho: Number,
  depth: int,
  eps: float,
  objective: str,
) -> np.ndarray:
  """[d] times until w^L is `share` of its limit; nan if it falls.

  Integrates dw / velocity over s = log w, Gauss-Legendre with 400 nodes.

  Args:
    share: of the limit.
    lam: [d] or one, covariances Syx_ii.
    rho: [d] or one, regression coefficients.
    depth: layers L.
    eps: initial amplitude of W, w^L.
    objective: "jepa" or "mae".
  """
  nodes, weights = np.polynomial.legendre.leggauss(400)
  times = []
  for a, r in zip(*np.broadcast_arrays(lam, rho), strict=True):
    start = np.log(eps) / depth
    end = np.log(share * limit(r, depth, objective)) / depth
    s = start + (end - start) * (nodes + 1) / 2
    w = np.exp(s)
    speed = velocity(w, a, rho=r, depth=depth, objective=objective) / w
    time = (weights / speed).sum() * (end - start) / 2
    times.append(time if end > start else np.nan)
  return np.array(times)
