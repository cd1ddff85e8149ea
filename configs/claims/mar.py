"""MAR: a diffusion model per token keeps the variety that a mean loses.

The plain digits, 16 tokens of 2 x 2 pixels, by class; the same network with a
diffusion head and with a regression head, 3000 steps each. 500 samples (EMA, 16
calls, guidance 1), seen by a linear classifier of the training pixels.

A. Spread within a class: at least 1.5 times that of the regression head. Its
   tokens are means, so that samples of a class differ by their order only.
B. Frechet distance to the test digits, in pixels, at least 30 % lower.
C. The spread is nearer to that of the real digits.
"""

from jmim.tools import claims

RECIPE = "configs/mar_digits.py"
LEAN = ("evals.samples=None",)


def ratio(results, key: str) -> float:
  """Diffusion over regression."""
  return results["diffusion"][key] / results["regression"][key]


def off(results, name: str) -> float:
  """How far the spread of a run's samples is from that of real digits."""
  run = results[name]
  return abs(run["judged/spread"] / run["judged/spread_real"] - 1)


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={
      "diffusion": claims.Run(RECIPE, LEAN),
      "regression": claims.Run(f"{RECIPE}:head=regression", LEAN),
    },
    conditions=(
      claims.Condition(
        text="A: spread within a class, diffusion / regression",
        value=lambda r: ratio(r, "judged/spread"),
        at_least=1.5,
      ),
      claims.Condition(
        text="B: Frechet distance in pixels, diffusion / regression",
        value=lambda r: ratio(r, "judged/frechet"),
        at_most=0.7,
      ),
      claims.Condition(
        text="C: spread off the real one, regression - diffusion",
        value=lambda r: off(r, "regression") - off(r, "diffusion"),
        at_least=0.0,
      ),
    ),
    metrics=(
      "judged/spread",
      "judged/frechet",
      "judged/recognised",
      "judged/recognised_real",
    ),
  )
