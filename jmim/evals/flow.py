"""Flows between two images, against the true ones: end-point error and PCK.

    aepe            mean over all known pixels of |flow - truth| [pixels]
    aepe_<k>        the same of the mean of the first k hypotheses, which leads
                    at most a width or height away, as the method's own
    aepe_initial    of the flow that the method begins with
    pck_<d>         percent of known pixels with an error of at most d pixels
    spread          root mean squared distance of hypotheses to their mean
    spread_inside, spread_outside
                    the same where the data set says (`region`), and elsewhere

Every known pixel counts once, as in papers on HPatches per sequence; the output
has flow, initial, hypotheses, flow_true, flow_known and images (docs/evals.md).
The sheet shows flows as colours: the direction is the hue, the length the
strength.
"""

import dataclasses

import numpy as np

from jmim.core import errors
from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.evals.lib import stored
from jmim.metrics import flow as metrics
from jmim.runlog import readings

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """AEPE, PCK and the spread of hypotheses, and a sheet."""

  reads = (
    (r"aepe.*", readings.Reading("px", readings.LOWER)),
    (r"pck_.*", readings.PERCENT),
    (r"spread.*", readings.Reading("px")),
  )

  predict: str = field.value("flow", "dict with flows, see the module")
  bounds: tuple[float, ...] = field.value(
    (1.0, 3.0, 5.0), "errors within which a pixel is right [pixels]"
  )
  counts: tuple[int, ...] = field.value(
    (), "numbers of hypotheses whose mean is measured, too"
  )
  region: str = field.value(
    "", "entry of the data set [h, w], 1 where to tell the spread; '': nowhere"
  )
  limit: int = field.value(0, "pairs; 0: all", low=0)
  examples: int = field.value(6, "pairs drawn", low=1)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields what the module lists, examples and a sheet."""
    sums: dict[str, list[tuple[float, float]]] = {}
    first, seen = None, 0
    for out, batch in context.outputs(
      self.predict,
      "eval",
      self.limit or None,
      self.weights,
      entries=("index",),
    ):
      region = None
      if self.region:
        region = stored.annotation(context, "eval", batch["index"], self.region)
      for name, value in self._sums(out, region).items():
        sums.setdefault(name, []).append(value)
      first, seen = first or out, seen + len(out["flow"])
    for name, parts in sums.items():
      total, count = np.sum(parts, axis=0)
      if count:
        yield name, float(total / count)
    yield "examples", seen
    yield "sheet", sheet(context, first, self.examples)

  def _sums(
    self, out: Arrays, region: np.ndarray | None
  ) -> dict[str, tuple[float, float]]:
    """Name -> (sum over known pixels, how many)."""
    known, flows = out["flow_known"] > 0, out["hypotheses"]
    self._check(flows.shape[1])
    error = lambda flow: metrics.end_point_error(flow, out["flow_true"])
    whole = lambda x: (float(x[known].sum()), float(known.sum()))
    away = error(out["flow"])
    found = {"aepe": whole(away)}
    furthest = np.array(flows.shape[2:4][::-1])  # along x, y
    for k in self.counts:
      mean = flows[:, :k].mean(1).clip(-furthest, furthest)
      found[f"aepe_{k}"] = whole(error(mean))
    found["aepe_initial"] = whole(error(out["initial"]))
    for d in self.bounds:
      found[f"pck_{d:g}"] = whole(100.0 * (away <= d))
    spread = metrics.spread(flows)
    found["spread"] = whole(spread)
    if region is not None:
      for name, where in (("inside", region > 0), ("outside", region == 0)):
        part = known & where
        total = float(spread[part].sum())
        found[f"spread_{name}"] = (total, float(part.sum()))
    return found

  def _check(self, most: int) -> None:
    if self.counts and not 1 <= min(self.counts) <= max(self.counts) <= most:
      raise errors.UserError(
        f"evals.<name>.counts={self.counts} of {most} hypotheses",
        f"numbers of 1 to {most}",
        "sample more (method.hypotheses.count), or ask for fewer",
        "evals.<name>.counts",
      )


def sheet(context: contexts.Context, out: Arrays, examples: int) -> np.ndarray:
  """Source, target, true flow, initial flow, mean flow, and the spread."""
  some = {name: x[:examples] for name, x in out.items()}
  source, target = (context.pixels(some["images"][:, i]) for i in (0, 1))
  side = some["flow_true"].shape[1:3]
  known = some["flow_known"][..., None] > 0
  longest = np.linalg.norm(some["flow_true"], axis=-1).max()
  paint = lambda flow: draw.directions(flow, longest)
  spread = metrics.spread(some["hypotheses"])
  source, target = (draw.fitted(x, side) for x in (source, target))
  return draw.sheet(
    {
      "source": source,
      "target": target,
      "truth": np.where(known, paint(some["flow_true"]), 0).astype(np.uint8),
      "argmax": paint(some["initial"]),
      "mean": paint(some["flow"]),
      "spread": draw.heat(spread, 0.0, float(spread.max())),
    },
    pairs=1,
  )
