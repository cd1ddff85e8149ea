"""LaVin-DiT: the task is read from pairs of pictures.

Six tasks at 16 px, four pairs at most, 2500 steps; what is measured are squared
errors of answers to held-out queries. Exact facts are in the tests: a fresh
network gives 0, one head of keys per head of queries is plain attention, pairs
change places unseen where there are no positions, a hidden context is a shorter
one.

1. Error with pairs of the query's task over that with pairs of another, made of
   the same pictures: at most 0.8. The card has 0.5.
2. Error with four pairs over that with one: at most 1.02 (pairs do not hurt).
3. On pictures whose two colours training never had in one picture, the error
   over that of copying the query: at most 0.9.
"""

from jmim.tools import claims

RIGHT, WRONG, ONE = "errors/right", "errors/wrong", "errors/pairs_1"
NEW, NEW_COPY = "errors/new", "errors/new_copy"
LEAN = ("evals.solved=None",)


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={"ours": claims.Run("configs/lavin_dit_shapes.py", LEAN)},
    conditions=(
      claims.Condition(
        text="1: error of answers, pairs of the task / of another",
        value=lambda r: r["ours"][RIGHT] / r["ours"][WRONG],
        at_most=0.8,
      ),
      claims.Condition(
        text="2: error of answers, four pairs / one",
        value=lambda r: r["ours"][RIGHT] / r["ours"][ONE],
        at_most=1.02,
      ),
      claims.Condition(
        text="3: error on new pairs of colours, answers / copies",
        value=lambda r: r["ours"][NEW] / r["ours"][NEW_COPY],
        at_most=0.9,
      ),
    ),
    metrics=(RIGHT, WRONG, ONE, NEW, NEW_COPY),
  )
