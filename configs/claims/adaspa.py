"""AdaSpa: few blocks hold most of attention, and go on doing so for long.

The small Step-Video (5 frames of 16 px, 320 tokens, blocks of 16), sampled in
50 calls with a fifth of its blocks; one host, trained by the claim `step_video`
too.

exact  FLOPs of sampling, counted from the program, are those of the host less
       what the closed formula says is saved.
i      Recall of the optimum (the best blocks of a head) is 0.01 above that of
       the best of columns, diagonals, window and random blocks of equal size in
       every head: it cannot be below; that of the best of each row at least
       0.05 above the best of these, on average (card).
ii     Heads that keep unequal numbers: the least recall of a layer rises.
iii    PSNR to samples of dense attention, above that of random blocks: 6 dB.
iv     A mask keeps 90 % of its recall twenty calls later, and that of another
       clip, told the same, 0.01 less.
"""

import functools

import jax

from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import method as methods
from jmim.cost import flops
from jmim.methods.parts import block_sparse
from jmim.methods.video import step_video
from jmim.tools import claims

RECIPE = "configs/adaspa_shapes.py"
HOST = "configs/step_video_shapes.py"
FIXED = ("columns", "diagonals", "window", "random")
PSNR = "fidelity/psnr"


@functools.cache
def counted() -> float:
  """FLOPs of attention of sampling, by the program over by the formula."""
  m = discovery.make(configs.load(RECIPE).method.to_dict())
  like = {
    name: jax.ShapeDtypeStruct((1, *entry.shape), entry.dtype)
    for name, entry in m.inputs().items()
  }
  params, extra = jax.eval_shape(m.init, jax.random.key(0), like)
  weights, key = methods.Weights(params, extra), jax.random.key(0)
  ours = flops.count(m.pairs, weights, like, key)
  plain = functools.partial(step_video.StepVideo.pairs, m)
  saved = flops.count(plain, weights, like, key) - ours
  sparse, dense = m.work()
  return (dense - saved) / sparse


def recall(name: str, run: claims.Metrics) -> float:
  """Of one selection."""
  return run[f"recalls/recall_{name}"]


def get_claim() -> claims.Claim:
  of = lambda selection: claims.Run(
    f"{RECIPE}:selection={selection},host={{workdir:host}}",
    ("evals.samples=None",),
  )
  return claims.Claim(
    runs={
      "host": claims.Run(HOST, ("evals.samples=None",), shared=True),
      "heads": of("heads"),
      "random": of("random"),
    },
    conditions=(
      claims.Condition(
        text="exact: FLOPs of attention, counted / by the formula",
        value=lambda r: counted(),
        at_least=1.0,
        at_most=1.0,
      ),
      claims.Condition(
        text="i: recall, the optimum less the best pattern, in the least head",
        value=lambda r: r["heads"]["recalls/over_patterns"],
        at_least=0.01,
      ),
      claims.Condition(
        text="i: recall, best of each row less the best pattern",
        value=lambda r: (
          recall("rows", r["heads"])
          - max(recall(name, r["heads"]) for name in FIXED)
        ),
        at_least=0.05,
      ),
      claims.Condition(
        text="ii: least recall of a layer, unequal less equal counts",
        value=lambda r: (
          r["heads"]["recalls/least_heads"] - r["heads"]["recalls/least_rows"]
        ),
        at_least=0.0,
      ),
      claims.Condition(
        text="iii: PSNR to dense samples, above random blocks [dB]",
        value=lambda r: r["heads"][PSNR] - r["random"][PSNR],
        at_least=6.0,
      ),
      claims.Condition(
        text="iv: recall of a mask twenty calls later / of a fresh one",
        value=lambda r: r["heads"]["recalls/kept"],
        at_least=0.9,
      ),
      claims.Condition(
        text="iv: the same, less that of another clip's mask",
        value=lambda r: (
          r["heads"]["recalls/kept"] - r["heads"]["recalls/other"]
        ),
        at_least=0.01,
      ),
    ),
    metrics=(
      PSNR,
      "recalls/kept",
      "recalls/other",
      *(f"recalls/recall_{name}" for name in block_sparse.SELECTIONS),
    ),
  )
