"""JEPA-linear: latent prediction prefers what can be predicted, with depth.

Gradient descent on matrices (no training run, seconds): covariances 1 .8 .5 .3,
regression coefficients .2 .6 .9 .8, initial amplitude .01. The order in which
features reach 90 % of their end, the times against quadrature and the ends
against theory, for one and two layers.

Part (b) of the card, images with noisy channels: `jepa_linear_cifar10`.
"""

import functools

import jax
import numpy as np

from jmim.methods.parts import deep_linear
from jmim.tools import claims

LAM, RHO = np.array([1, 0.8, 0.5, 0.3]), np.array([0.2, 0.6, 0.9, 0.8])
EPS = 0.01
# (objective, layers) -> step, steps, order of the features.
CASES = {
  ("mae", 1): (0.005, 8000, [0, 1, 2, 3]),
  ("mae", 2): (0.005, 20_000, [0, 1, 2, 3]),
  ("jepa", 1): (0.05, 16_000, [0, 1, 2, 3]),
  ("jepa", 2): (0.1, 32_000, [1, 2, 0, 3]),
}


@functools.cache
def measured(objective: str, depth: int):
  """(90 % times, last amplitudes) of the four features."""
  rate, steps, _ = CASES[objective, depth]
  times, amplitudes, _ = deep_linear.simulate(
    jax.random.key(0),
    LAM,
    rho=RHO,
    depth=depth,
    eps=EPS,
    objective=objective,
    rate=rate,
    steps=steps,
    every=10,
  )
  amplitudes = np.asarray(amplitudes)
  goal = 0.9 * deep_linear.limit(RHO, depth, objective)
  return times[(amplitudes >= goal).argmax(0)], amplitudes[-1]


def conditions(objective: str, depth: int):
  name = f"{objective.upper()}, {depth} layer(s)"
  order = CASES[objective, depth][2]

  def worst(values, reference):
    return float(np.abs(values / reference - 1).max())

  yield claims.Condition(
    text=f"{name}: order {order} (1: as predicted)",
    value=lambda r: float(
      list(np.argsort(measured(objective, depth)[0])) == order
    ),
    at_least=1.0,
  )
  yield claims.Condition(
    text=f"{name}: times, largest relative error",
    value=lambda r: worst(
      measured(objective, depth)[0],
      deep_linear.time_to(
        0.9, LAM, rho=RHO, depth=depth, eps=EPS, objective=objective
      ),
    ),
    at_most=0.02,
  )
  yield claims.Condition(
    text=f"{name}: ends, largest relative error",
    value=lambda r: worst(
      measured(objective, depth)[1], deep_linear.limit(RHO, depth, objective)
    ),
    at_most=0.01,
  )


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={}, conditions=tuple(c for case in CASES for c in conditions(*case))
  )
