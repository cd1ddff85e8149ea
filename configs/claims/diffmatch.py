"""DiffMatch: flows that are sampled and averaged, against the likeliest cell.

Warped pictures of CIFAR-10, a grid of 16 x 16, features of a small classifier
(600 steps; shared), then 2000 steps of 32 pairs (card: 4000); 500 test pairs,
end-point error in pixels (AEPE) of the EMA.

a.   Identical images: the initial flow is 0 everywhere, exactly.
b.   A shift by whole cells: the cost around it is a gather, to 1e-6.
i.   AEPE of 4 hypotheses / AEPE of the initial flow: below 0.6.
ii.  AEPE of 8 hypotheses / AEPE of one: at most 1.
iii. AEPE with costs of 0 / AEPE: at least 1.2.
iv.  Spread inside of pasted regions / outside: above 1 (card: 1.3, reported).

Printed only: AEPE of both flows where noise of 0.18 lies on the images (card:
0.2, "noisy"). The card's regression by the same UNet has no run.
"""

import functools

import numpy as np

from jmim.nn import matching
from jmim.tools import claims

FEATURES = claims.Run("configs/convnet_digits.py:data=cifar10", shared=True)
RECIPE = "configs/diffmatch_warps.py:features={workdir:features}"
AEPE, BLIND = "flow/aepe", "blind/aepe"


@functools.cache
def levels() -> list[np.ndarray]:
  """Random features of two levels."""
  rng = np.random.default_rng(0)
  return [rng.normal(size=(2, 9, 8, c)).astype(np.float32) for c in (12, 7)]


def initial_of_one() -> float:
  """Greatest initial flow between an image and itself, in cells."""
  flow = matching.likeliest(matching.correlation(levels(), levels()))
  return float(np.abs(flow).max())


def shifted_cost(radius: int = 2) -> float:
  """Greatest difference of the cost of a shift from what is gathered."""
  dx, dy = 2, -1
  target = [np.roll(x, (-dy, -dx), (1, 2)) for x in levels()]
  cosines = matching.correlation(levels(), target)
  flow = np.broadcast_to(np.float32([dx, dy]), (2, 9, 8, 2))
  found = np.asarray(matching.local_cost(cosines, flow, radius))
  wide = np.pad(np.asarray(cosines), ((0, 0), (9, 9), (8, 8), (0, 0), (0, 0)))
  worst = 0.0
  for k, (x, y) in enumerate(matching.offsets(radius).astype(int)):
    for i, j in np.ndindex(9, 8):
      wanted = wide[:, 9 + i + dy + y, 8 + j + dx + x, i, j]
      worst = max(worst, float(np.abs(found[:, i, j, k] - wanted).max()))
  return worst


def get_claim() -> claims.Claim:
  run = lambda r: r["coarse"]
  over = lambda a, b: lambda r: run(r)[a] / run(r)[b]
  return claims.Claim(
    runs={"features": FEATURES, "coarse": claims.Run(RECIPE)},
    conditions=(
      claims.Condition(
        text="a: cells, greatest initial flow of identical images",
        value=lambda r: initial_of_one(),
        at_most=0.0,
      ),
      claims.Condition(
        text="b: cost of a whole shift - what is gathered",
        value=lambda r: shifted_cost(),
        at_most=1e-6,
      ),
      claims.Condition(
        text="i: AEPE, 4 hypotheses / initial flow",
        value=over("flow/aepe_4", "flow/aepe_initial"),
        at_most=0.6,
      ),
      claims.Condition(
        text="ii: AEPE, 8 hypotheses / 1",
        value=over(AEPE, "flow/aepe_1"),
        at_most=1.0,
      ),
      claims.Condition(
        text="iii: AEPE, costs of 0 / costs",
        value=over(BLIND, AEPE),
        at_least=1.2,
      ),
      claims.Condition(
        text="iv: spread of hypotheses, inside of pasted regions / outside",
        value=over("flow/spread_inside", "flow/spread_outside"),
        at_least=1.0,
      ),
    ),
    metrics=(
      AEPE,
      "flow/aepe_1",
      "flow/aepe_4",
      "flow/aepe_initial",
      BLIND,
      "noisy/aepe",
      "noisy/aepe_initial",
    ),
  )
