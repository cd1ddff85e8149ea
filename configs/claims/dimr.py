"""DiMR: a second scale for fine noise, and norms that cost little.

One thing on 16 px, 1500 steps: a transformer on 4 x 4 tokens with a ConvNeXt
at 16 x 16 (0.487 M parameters), and a transformer of 0.51 M on the same tokens
alone.

Exact. Parameters of all norms that depend on time, over those that adaLN-zero
   has in their place without its embedding of time, in the same two branches:
   at most 0.2. The paper has 0.1 (from memory, of its own sizes).
1. Error of the noise at n <= 200 of 1000, two scales / one: at most 0.9.

Beside them, as a report: the card expects of both norms the same loss within 3
percent (`errors/mse` of the runs "two" and "adaln").
"""

import functools
import math

import jax

from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import tree as trees
from jmim.tools import claims

RECIPE = "configs/dimr_shapes.py"
LEAN = ("evals.samples=None",)
LOW, ALL = "errors/low", "errors/mse"
TIMED = ("p0", "p1", "slope", "offset")
TOLD = ("modulation", "gate1", "gate2")


@functools.cache
def conditioning(kind: str) -> int:
  """Numbers by which a network of the recipe is told the time."""
  config = configs.load(f"{RECIPE}:kind={kind}")
  m = discovery.make(config.method.to_dict())
  like, _ = jax.eval_shape(m.init, jax.random.key(0), {})
  return sum(
    math.prod(x.shape)
    for name, x in trees.named(like).items()
    if set(name.split("/")) & {*TIMED, *TOLD}
  )


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={
      "two": claims.Run(RECIPE, LEAN),
      "one": claims.Run(f"{RECIPE}:kind=one", LEAN),
      "adaln": claims.Run(f"{RECIPE}:kind=adaln", LEAN),
    },
    conditions=(
      claims.Condition(
        text="exact: conditioning parameters, time-dependent norms / adaLN",
        value=lambda r: conditioning("two") / conditioning("adaln"),
        at_most=0.2,
      ),
      claims.Condition(
        text="1: error of the noise, n <= 200, two scales / one",
        value=lambda r: r["two"][LOW] / r["one"][LOW],
        at_most=0.9,
      ),
    ),
    metrics=(LOW, ALL),
  )
