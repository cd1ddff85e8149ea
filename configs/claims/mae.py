"""MAE learns from what it hides: the three claims of its card.

CIFAR-10, patch 4, encoder 96x4, decoder 48x1, 75 % hidden, 3000 steps of 128
images. Two runs: normalised pixels, and raw ones.

A. The loss on normalised pixels ends below 0.70. (A decoder that hears nothing
   from the encoder cannot get clearly below 1.)
B. Ridge on mean-pooled tokens: at least 4 points above the untrained encoder.
C. Raw pixels: the error of the hidden ones is below that of the nearest visible
   pixel and of the mean visible colour.
"""

from jmim.tools import claims

RECIPE = "configs/mae_cifar10.py"
# Only what the claim measures.
LEAN = (
  "evals.knn=None",
  "evals.fewshot=None",
  "evals.linear=None",
  "evals.introspect=None",
)


def get_claim() -> claims.Claim:
  hidden = "recon/mse"
  return claims.Claim(
    runs={
      "norm_pix": claims.Run(RECIPE, LEAN),
      "pixels": claims.Run(f"{RECIPE}:norm_pix=False", LEAN),
    },
    conditions=(
      claims.Condition(
        text="A: loss on normalised pixels",
        value=lambda r: r["norm_pix"]["loss"],
        at_most=0.70,
      ),
      claims.Condition(
        text="B: probe points, trained - untrained",
        value=lambda r: (
          r["norm_pix"]["probe/accuracy"]
          - r["norm_pix"]["probe/untrained_accuracy"]
        ),
        at_least=4.0,
      ),
      *(
        claims.Condition(
          text=f"C: error of hidden pixels / {text}",
          value=lambda r, other=other: (
            r["pixels"][hidden] / r["pixels"][f"{hidden}_{other}"]
          ),
          at_most=1.0,
        )
        for other, text in (("nearest", "nearest"), ("colour", "mean colour"))
      ),
    ),
    metrics=("loss", "loss/loss", "probe/accuracy", hidden),
  )
