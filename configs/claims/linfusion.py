"""LinFusion: normalised linear attention stands for softmax, larger sides too.

Scattered digits at 16 px. Host: an LDM in pixels, given the digit (1500 steps;
self-attention over 256 and 64 tokens). Students with its linear mixers, with a
sum in their place (without the denominator; a constant keeps it in scale at
the side of training) and with causal ones, 1000 steps each.

i.   The student's error of the noise is at most 10 % above the host's (card:
     5 %, of a longer training).
ii.  On the digits at 32 px, where every level has four times the tokens, the
     student's features are at most 1.5 times as far from the host's as at 16;
     and at least 1.5 times nearer than those of the sum (card: 1.3 and 2).
iii. FLOPs counted of the mixer grow as tokens^1, those of softmax attention as
     tokens^2 (+- 0.15, 4 k to 16 k tokens), and they are equal where the card's
     formula says, d + 2 M D / (H d) tokens. (Card: seconds, which depend on
     the machine.)
iv.  A causal mixer is further from the host's prediction.
"""

import functools
import math
from collections.abc import Callable

import jax
import numpy as np

import jmim
from jmim.cost import flops
from jmim.data import sources
from jmim.nn import attention
from jmim.nn import linear_attention
from jmim.tools import claims

RECIPE = "configs/linfusion_digits.py"
ERROR, TARGET = "errors/target", "errors/host_target"
TAUGHT, FEATURES = "errors/taught", "errors/features"
N, FEW, MANY = 256, 4096, 16_384
WIDTH, HEADS = 64, 2  # of the coarser level


@functools.cache
def features(workdir, side: int) -> float:
  """Mean error of a student's features on test digits of that side."""
  sides = (f"method.size={side}", f"data.size={side}")
  model = jmim.load(workdir).override(*sides)
  data = model.config["data"]
  test = sources.build(data["name"], "test", data["data_dir"])
  rows = [test[i] for i in range(N)]
  found = model(
    "errors",
    [row["image"] for row in rows],
    label=np.array([row["label"] for row in rows]),
  )
  return float(found["features"].mean())


def products(form: str, tokens: int) -> int:
  """FLOPs of a mixer, its own maps included."""
  net = linear_attention.LinearAttention(heads=HEADS, form=form)
  x = jax.ShapeDtypeStruct((1, tokens, WIDTH), np.float32)
  params = jax.eval_shape(net.init, jax.random.key(0), x)
  return flops.count(net.apply, params, x)


def exponent(attend: Callable[..., jax.Array]) -> float:
  """Of the FLOPs of an attention, of q, k and v, in the number of tokens."""
  shape = lambda n: jax.ShapeDtypeStruct((1, 1, n, WIDTH // HEADS), np.float32)
  count = lambda n: flops.count(attend, *[shape(n)] * 3)
  return math.log(count(MANY) / count(FEW)) / math.log(MANY / FEW)


def crossover() -> float:
  """Tokens at which both cost the same, over those of the formula."""
  d = WIDTH / HEADS
  per_token = lambda form: products(form, FEW) / FEW
  linear, base = per_token("linear"), products("softmax", 1)
  # Softmax attention costs a constant and 4 n d H per token.
  slope = (per_token("softmax") - base) / (FEW - 1)
  found = (linear - base + slope) / slope
  return found / (d + 2 * WIDTH * WIDTH / (HEADS * d))


def get_claim() -> claims.Claim:
  student = f"{RECIPE}:host={{workdir:host}}"
  lean = ("evals.samples=None",)
  error = lambda r, name, side: features(r[name].workdir, side)
  return claims.Claim(
    runs={
      "host": claims.Run(f"{RECIPE}:stage=host", lean),
      "linear": claims.Run(f"{student},rungs=1"),  # its samples: 32 px
      "sum": claims.Run(f"{student},form=unnormalised", lean),
      "causal": claims.Run(f"{student},form=causal", lean),
    },
    conditions=(
      claims.Condition(
        text="i: error of the noise, student / host",
        value=lambda r: r["linear"][ERROR] / r["linear"][TARGET],
        at_most=1.1,
      ),
      claims.Condition(
        text="ii: error of the features, 32 px / 16 px",
        value=lambda r: error(r, "linear", 32) / error(r, "linear", 16),
        at_most=1.5,
      ),
      claims.Condition(
        text="ii: error of the features at 32 px, sum / mean",
        value=lambda r: error(r, "sum", 32) / error(r, "linear", 32),
        at_least=1.5,
      ),
      claims.Condition(
        text="iii: exponent of FLOPs in tokens, linear",
        value=lambda r: exponent(linear_attention.attend),
        at_least=0.85,
        at_most=1.15,
      ),
      claims.Condition(
        text="iii: exponent of FLOPs in tokens, softmax",
        value=lambda r: exponent(attention.attend),
        at_least=1.85,
        at_most=2.15,
      ),
      claims.Condition(
        text="iii: tokens where both cost alike, counted / formula",
        value=lambda r: crossover(),
        at_least=0.95,
        at_most=1.05,
      ),
      claims.Condition(
        text="iv: distance to the host's prediction, causal / linear",
        value=lambda r: r["causal"][TAUGHT] / r["linear"][TAUGHT],
        at_least=1.0,
      ),
    ),
    metrics=(ERROR, TARGET, TAUGHT, FEATURES),
  )
