"""TokenUnify: three tasks together err less far from what is given.

Procedural cells with membranes, crops of 8 x 40 x 40 voxels in 100 tokens, 400
steps of the same network: the three tasks by curriculum, the next token alone,
random tokens alone.

i.  Roll-out of 75 tokens from the first 25: the mean squared error of the last
    25 is at least 10 % below that of next-only, and it grows less from the
    first 25 generated tokens to the last 25.
ii. A linear probe of voxels for membranes: next-only is last. Whether the
    mixture is above random-only is printed, without a threshold that could
    fail.
"""

import math

from jmim.tools import claims

RECIPE = "configs/tokenunify_membranes.py"
LEAN = ("evals.samples=None", "evals.voxels.reference=False")
FAR, GROWTH, AP = "rollout/far", "rollout/growth", "voxels/membrane_ap"
ROLLOUT = ("rollout/near", FAR, GROWTH)


def get_claim() -> claims.Claim:
  ratio = lambda name: lambda r: r["mixture"][name] / r["next"][name]
  return claims.Claim(
    runs={
      "mixture": claims.Run(RECIPE, LEAN),
      "next": claims.Run(f"{RECIPE}:tasks=next", LEAN),
      "random": claims.Run(
        f"{RECIPE}:tasks=random", (*LEAN, "evals.rollout=None")
      ),
    },
    conditions=(
      claims.Condition(
        text="i: error of the last 25 tokens, mixture / next-only",
        value=ratio(FAR),
        at_most=0.9,
      ),
      claims.Condition(
        text="i: growth of the error, mixture / next-only",
        value=ratio(GROWTH),
        at_most=1.0,
      ),
      claims.Condition(
        text="ii: membranes, worse of mixture and random-only - next-only",
        value=lambda r: min(r["mixture"][AP], r["random"][AP]) - r["next"][AP],
        at_least=0.0,
      ),
      claims.Condition(
        text="ii: membranes, mixture - random-only (printed only)",
        value=lambda r: r["mixture"][AP] - r["random"][AP],
        at_least=-math.inf,
      ),
    ),
    # Not loss/loss: runs with other weights of the tasks have another one.
    metrics=("loss/loss_random", "loss/loss_next", *ROLLOUT, AP),
  )
