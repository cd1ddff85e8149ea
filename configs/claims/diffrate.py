"""DiffRate: learned counts halve the cost of a classifier, without retraining.

One shape of 8 px on 32 px of noise (`shapes/spots`), ViT 96x6 of patch 4,
trained for 2000 steps; counts for 55 % of its FLOPs, searched for 300 steps.
Accuracy is that of networks whose tokens are really taken away.

i.   The FLOPs of the counts that are found are within 3 % of the target.
ii.  With them accuracy falls by at most 2 points, without fine-tuning.
iii. A uniform list in a random order is at least 5 points worse at the same
     FLOPs (the longest list that costs no more than the target). It is not:
     the first block still reads all tokens, and hands on what it saw.
"""

from jmim.tools import claims

RECIPE = "configs/diffrate_spots.py"
PATH = "method.classifier.path={workdir:classifier}"
TOP1, FLOPS = "accuracy/top1", "loss/flops"
SHARE = 0.55
WHOLE = 4.8297984  # 10^7 FLOPs of the classifier with all its tokens


def get_claim() -> claims.Claim:
  found = f"{RECIPE}:lists={{workdir:search}}"
  return claims.Claim(
    runs={
      "classifier": claims.Run(f"{RECIPE}:stage=classifier,steps=2000"),
      "search": claims.Run(f"{RECIPE}:share={SHARE}", (PATH,)),
      "found": claims.Run(found, (PATH,)),
      "random": claims.Run(
        f"{RECIPE}:share={SHARE},lists=uniform,order=random", (PATH,)
      ),
    },
    conditions=(
      claims.Condition(
        text="classifier: accuracy (%)",
        value=lambda r: r["classifier"][TOP1],
        at_least=95.0,
      ),
      claims.Condition(
        text="i: FLOPs found / target",
        value=lambda r: r["search"][FLOPS] / (SHARE * WHOLE),
        at_least=0.97,
        at_most=1.03,
      ),
      claims.Condition(
        text="ii: points lost by the counts found",
        value=lambda r: r["classifier"][TOP1] - r["found"][TOP1],
        at_most=2.0,
      ),
      claims.Condition(
        text="iii: points above a random order",
        value=lambda r: r["found"][TOP1] - r["random"][TOP1],
        at_least=5.0,
      ),
    ),
    metrics=(TOP1, FLOPS),
  )
