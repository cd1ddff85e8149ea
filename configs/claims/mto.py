"""MTO: masked tokens become unlike visible ones, then find their context.

CIFAR-10, SimMIM ViT 128x4, patch 4, squares of 8, 60 % hidden, 400 steps, same
seed and data with everything on and with everything off (which is SimMIM, bit
for bit). THE EQUATIONS ARE AN INSTANTIATION (docstring of mim.mto): what is
measured here speaks of them, not of the paper.

i.  Steps to the baseline's final masked L1 and RAUC of k-NN accuracy are
    printed, without a threshold that could fail: the card expects 85 % of the
    steps, or says that (ii) is the acceptance test.
ii. Heterogeneity of the first two layers above the baseline's, row entropy of
    the last block below it.
"""

import math

from jmim.metrics import curves
from jmim.tools import claims

RECIPE = "configs/mto_cifar10.py:steps=400"
L1, KNN = "loss/host", "knn/top1"
H, E = "singularity/heterogeneity_{}", "singularity/entropy_{}"


def more(name: str):
  return lambda r: r["ours"][name] - r["base"][name]


def share_of_steps(r: claims.Results) -> float:
  """Steps until the baseline's last error, over the baseline's; inf: never."""
  base = r["base"].history("loss/loss")
  level = base[max(base)]
  return curves.reach(r["ours"].history(L1), level) / max(base)


def get_claim() -> claims.Claim:
  lean = ("evals.recon=None", "evals.knn.reference=False")
  return claims.Claim(
    runs={
      "base": claims.Run(f"{RECIPE},on=False", lean),
      "ours": claims.Run(RECIPE, lean),
    },
    conditions=(
      claims.Condition(
        text="i: share of the steps to the baseline's error (printed only)",
        value=share_of_steps,
        at_most=math.inf,
      ),
      claims.Condition(
        text="i: RAUC of k-NN accuracy (printed only)",
        value=lambda r: curves.rauc(
          r["ours"].history(KNN), r["base"].history(KNN)
        ),
        at_least=-math.inf,
      ),
      *(
        claims.Condition(
          text=f"ii: heterogeneity of layer {i}, ours - baseline",
          value=more(H.format(f"{i:02d}")),
          at_least=0.0,
        )
        for i in range(2)
      ),
      claims.Condition(
        text="ii: row entropy of the last block, ours - baseline",
        value=more(E.format("03")),
        at_most=0.0,
      ),
    ),
    metrics=("loss/loss", L1, KNN, H.format("00"), E.format("03")),
  )
