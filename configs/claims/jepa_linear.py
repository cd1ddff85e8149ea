"""JEPA-linear: latent prediction prefers what can be predicted, with depth.

a. Gradient descent on matrices (seconds): covariances 1 .8 .5 .3, regression
   coefficients .2 .6 .9 .8, initial amplitude .01. The order in which features
   reach 90 % of their end, the times against quadrature and the ends against
   theory, for one and two layers.
b. CIFAR-10 with 12 of the 48 channels of every patch replaced by noise of four
   times the variance (`noisy_channels`): the ridge probe of I-JEPA loses fewer
   points from it than that of MAE, the same ViT (96x4) after the same 1000
   steps. MAE predicts pixels as they are, as in the theory; nothing is cropped,
   shifted or flipped, so that the channels stay in their places. All 10,000
   test images.
"""

import functools

import jax
import numpy as np

from jmim.data.builders import noisy_channels
from jmim.methods.theory import jepa_linear as theory
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

PROBE = "probe/accuracy"
CHANGES = (
  "data.device_crop=none", "data.flip=False",
  "data.mean=" + str((noisy_channels.MEAN,) * 3),
  "data.std=" + str((noisy_channels.STD,) * 3),
  "evals.probe.limit=10000", "evals.loss.every_steps=0",
)  # fmt: skip
RECIPES = {
  "mae": claims.Run(
    "configs/mae_cifar10.py:steps=1000,norm_pix=False",
    tuple(
      f"evals.{name}=None"
      for name in ("knn", "fewshot", "linear", "introspect", "recon")
    ),
  ),
  "jepa": claims.Run("configs/ijepa_cifar10.py:steps=1000"),
}


def runs():
  """Both methods on clean and on noisy images."""
  for method, run in RECIPES.items():
    for kind, suffix in (("clean", "_clean"), ("noisy", "")):
      data = f"data.name=noisy_channels/cifar10{suffix}"
      changes = (data, *CHANGES, *run.overrides)
      yield f"{method}_{kind}", claims.Run(run.config, changes)


def lost(r, method: str) -> float:
  """Points of the probe that the noise costs."""
  return r[f"{method}_clean"][PROBE] - r[f"{method}_noisy"][PROBE]


@functools.cache
def measured(objective: str, depth: int):
  """(90 % times, last amplitudes) of the four features."""
  rate, steps, _ = CASES[objective, depth]
  times, found, _ = theory.simulate(
    jax.random.key(0), LAM, RHO, depth, EPS, objective, rate, steps, 10
  )
  found = np.asarray(found)
  goal = 0.9 * theory.limit(RHO, depth, objective)
  return times[(found >= goal).argmax(0)], found[-1]


def conditions(objective: str, depth: int):
  name = f"{objective.upper()}, {depth} layer(s)"
  order = CASES[objective, depth][2]

  def worst(found, wanted):
    return float(np.abs(found / wanted - 1).max())

  yield claims.Condition(
    f"{name}: order {order} (1: as predicted)",
    lambda r: float(list(np.argsort(measured(objective, depth)[0])) == order),
    at_least=1.0,
  )
  yield claims.Condition(
    f"{name}: times, largest relative error",
    lambda r: worst(
      measured(objective, depth)[0],
      theory.time_to(0.9, LAM, RHO, depth, EPS, objective),
    ),
    at_most=0.02,
  )
  yield claims.Condition(
    f"{name}: ends, largest relative error",
    lambda r: worst(
      measured(objective, depth)[1], theory.limit(RHO, depth, objective)
    ),
    at_most=0.01,
  )


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs=dict(runs()),
    conditions=(
      *(c for case in CASES for c in conditions(*case)),
      claims.Condition(
        "b: probe points lost to noise, I-JEPA - MAE",
        lambda r: lost(r, "jepa") - lost(r, "mae"),
        at_most=0.0,
      ),
    ),
    metrics=(PROBE, "probe/untrained_accuracy", "probe/pixels_accuracy"),
  )
