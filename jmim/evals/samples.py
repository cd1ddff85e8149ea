"""A grid of samples, from the same noise and conditions all along a run.

    x_i = sample(params, condition_i, key)      i = 1 .. n

The key is a function of the run's seed alone, and conditions (labels ...) are
those of the first examples of the evaluation split: two grids of a run differ
by the parameters only. `mean` and `std` of the pixels (0 .. 255) show a
collapse or drift before an eye does. Of a method of clips each row of the grid
is one, frame by frame. Of clouds there are three views, and the numbers are of
the coordinates.
"""

import dataclasses

from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import clouds
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """A picture of samples."""

  predict: str = field.value(
    "sample",
    "images, clips [b, t, h, w, c], clouds [b, n, 3] or volumes, as the inputs",
  )
  examples: int = field.value(32, "samples drawn", low=1)
  columns: int = field.value(8, "images side by side; clips: one", low=1)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields the picture `grid`, and mean and std of the pixels."""
    rows, _ = context.rows(self.predict, "eval", self.examples, self.weights)
    columns = self.columns
    if rows.ndim == 3:
      values = clouds.stored(context.spec, rows)
      images = clouds.views(values)
    else:
      values = images = context.pixels(rows)
      if context.spec.volume:
        images = draw.slices(images)
      elif images.ndim == 5:  # clips
        columns = images.shape[1]
        images = images.reshape(-1, *images.shape[2:])
    yield "grid", draw.sheet({"": images}, pairs=columns)
    yield "mean", float(values.mean())
    yield "std", float(values.std())
