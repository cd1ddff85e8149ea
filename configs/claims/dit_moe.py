"""DiT-MoE: the balance loss evens out experts, which follow place and time.

Plain 8 x 8 digits, E = 8, k = 2, 2000 steps with and without the balance loss.

1. With it, no expert of any layer gets more than 0.35 of the assignments and
   none less than 0.02; without it the largest share is 1.3 times as large.
2. The held-out error of the noise is at most that of a dense model of the
   active size: one expert of hidden width 8 D, and the shared one of 2 D, are
   a SwiGLU of 10 D = (4 k + 2) D.
3. In layer 0 the expert tells more about position and about time than about
   the class.
"""

from jmim.tools import claims

RECIPE = "configs/dit_moe_digits.py"
LEAN = "evals.samples=None"
# One expert is always chosen, with a score of 1.
DENSE = ("method.experts=1", "method.chosen=1", "method.dims.mlp_ratio=8.0")


def beyond_class(name: str):
  """Information about `name` less that about the class, layer 0, in nats."""
  mi = lambda r, z: r["balanced"][f"experts/mi_{z}_00"]
  return lambda r: mi(r, name) - mi(r, "class")


def get_claim() -> claims.Claim:
  top, low = "experts/load_max", "experts/load_min"
  return claims.Claim(
    runs={
      "balanced": claims.Run(RECIPE, (LEAN,)),
      "free": claims.Run(f"{RECIPE}:balance=0.0", (LEAN,)),
      "dense": claims.Run(
        f"{RECIPE}:balance=0.0", (LEAN, "evals.experts=None", *DENSE)
      ),
    },
    conditions=(
      claims.Condition(
        text="1: largest share",
        value=lambda r: r["balanced"][top],
        at_most=0.35,
      ),
      claims.Condition(
        text="1: smallest share",
        value=lambda r: r["balanced"][low],
        at_least=0.02,
      ),
      claims.Condition(
        text="1: largest share, without / with",
        value=lambda r: r["free"][top] / r["balanced"][top],
        at_least=1.3,
      ),
      claims.Condition(
        text="2: error of the noise, experts / dense",
        value=lambda r: r["balanced"]["errors/mse"] / r["dense"]["errors/mse"],
        at_most=1.0,
      ),
      claims.Condition(
        text="3: information, position - class",
        value=beyond_class("position"),
        at_least=0.0,
      ),
      claims.Condition(
        text="3: information, time - class",
        value=beyond_class("time"),
        at_least=0.0,
      ),
    ),
    metrics=("errors/mse", top, low),
  )
