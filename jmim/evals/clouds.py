"""Samples of point clouds against real ones: 1-NNA, COV and MMD.

    1nna  percent of clouds whose nearest other one is from their own set, real
          or made; 50: they cannot be told apart
    cov   percent of the real clouds that are nearest to a sample
    mmd   mean over the real clouds of the distance to the nearest sample

each by the Chamfer distance (cd_...) and by the earth mover's, solved exactly
(emd_...): for few hundred points; see `metrics.clouds`. The real clouds are
the first of a fixed random order of the evaluation split, the samples have
their labels, and both are in the units of the data set. All three depend on
the number of clouds and of points: compare equal ones.
"""

import dataclasses

import numpy as np

from jmim.core import errors
from jmim.core import field
from jmim.data import clouds as data
from jmim.evals.lib import base
from jmim.evals.lib import clouds
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.metrics import clouds as metrics
from jmim.runlog import readings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """1-NNA, COV and MMD by two distances, and a picture."""

  reads = (
    (r"(cd|emd)_1nna", readings.Reading("%")),
    (r"(cd|emd)_cov", readings.PERCENT),
    (r"(cd|emd)_mmd", readings.LESS),
  )

  predict: str = field.value("sample", "clouds [b, n, 3], as the inputs")
  clouds: int = field.value(64, "real clouds, and samples", low=2)
  points: int = field.value(
    256, "points of each that the earth mover's distance sees", low=1
  )
  emd: bool = field.value(True, "measure the earth mover's distance too")
  shown: int = field.value(8, "samples in the picture; 0: none", low=0)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields the scores and the picture `clouds`, real ones beside samples."""
    made, real = self._sets(context)
    for name in ("cd", "emd") if self.emd else ("cd",):
      some = self.points if name == "emd" else None
      # Samples and real clouds are in no order: the first points are a subset.
      found = metrics.compare(made[:, :some], real[:, :some], name)
      yield f"{name}_1nna", 100 * found["1nna"]
      yield f"{name}_cov", 100 * found["cov"]
      yield f"{name}_mmd", found["mmd"]
    yield "clouds", len(made)
    if self.shown:
      pairs = {"real": real[: self.shown], "samples": made[: self.shown]}
      pictures = {title: clouds.views(x) for title, x in pairs.items()}
      yield "pairs", draw.sheet(pictures, pairs=1)

  def _sets(self, context):
    """(samples, real clouds), as many of either, in the data set's units."""
    made, real = [], []
    for out, entries in context.outputs(
      self.predict, "eval", self.clouds, self.weights, entries=("points",)
    ):
      made.append(clouds.stored(context.spec, out))
      ready = np.asarray(data.prepared(context.spec, entries["points"]))
      real.append(clouds.stored(context.spec, ready))
    made, real = np.concatenate(made), np.concatenate(real)
    if len(real) < 2:
      raise errors.UserError(
        f"{len(real)} cloud(s) to compare with",
        "at least 2",
        "use another split",
        "data.eval_split",
      )
    return made, real
