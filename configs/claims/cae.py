"""CAE: tokens of hidden patches are predicted, and latents aligned.

CIFAR-10, patch 4, 32 of 64 patches hidden, 256 k-means codes as tokens (a first
run makes them), the card's 1500 steps. After 400 (seed 0) alignment still costs
4.2 points of token accuracy, and tokens are named no better than by the
commonest visible one (0.97).

A. Held-out token accuracy at least twice the share of the commonest token, and
   above naming the commonest visible token of each image.
B. Alignment (mean square over the variance of the target) with weight 2 below
   half of that with weight 0, token accuracy within 2 points.
C. An attentive probe at least 2 points above a linear probe of the class token.
"""

from jmim.tools import claims

RECIPE = "configs/cae_cifar10.py"
CODES = "method.tokenizer.codebook={workdir:codes}"
RIGHT, GAP = "loss/token_accuracy", "loss/align_relative"
NO_PROBE = ("evals.probe=None",)
LEAN = (*NO_PROBE, "evals.cls=None", "evals.attentive=None")


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={
      "codes": claims.Run("configs/codebook_cifar10.py"),
      "ours": claims.Run(RECIPE, (CODES, *NO_PROBE)),
      "off": claims.Run(f"{RECIPE}:align=0.0", (CODES, *LEAN)),
    },
    conditions=(
      claims.Condition(
        text="A: token accuracy / share of the commonest",
        value=lambda r: r["ours"][RIGHT] / r["ours"]["loss/commonest_token"],
        at_least=2.0,
      ),
      claims.Condition(
        text="A: token accuracy / commonest visible token",
        value=lambda r: r["ours"][RIGHT] / r["ours"]["loss/visible_token"],
        at_least=1.0,
      ),
      claims.Condition(
        text="B: relative alignment, weight 2 / weight 0",
        value=lambda r: r["ours"][GAP] / r["off"][GAP],
        at_most=0.5,
      ),
      claims.Condition(
        text="B: token accuracy points, weight 2 - weight 0",
        value=lambda r: 100 * (r["ours"][RIGHT] - r["off"][RIGHT]),
        at_least=-2.0,
        at_most=2.0,
      ),
      claims.Condition(
        text="C: probe points, attentive - class token",
        value=lambda r: r["ours"]["attentive/top1"] - r["ours"]["cls/accuracy"],
        at_least=2.0,
      ),
    ),
    metrics=(RIGHT, GAP, "loss/main", "cls/accuracy", "attentive/top1"),
  )
