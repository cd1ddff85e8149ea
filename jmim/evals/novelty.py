"""The share of samples that are no copies of training examples.

    new       percent of samples with d_1 >= ratio d_2, their distances to the
              nearest and second nearest training example
    distance  mean d_1
    test_...  the same of the evaluation split, which is new by its making

What Wang et al. 2024 call the generalisation score, 100 %: nothing is copied;
they count a copy by SSCD (a network for finding copies, above 0.6), here
nearest neighbours stand for it. Images are compared as pixels in 0 .. 1.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import finite
from jmim.evals.lib import stored
from jmim.metrics import novelty
from jmim.runlog import readings

IMAGE = "image"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Percent of new samples, and how near they are to the training set."""

  reads = ((r"(test_)?new", readings.PERCENT),)

  predict: str = field.value("sample", "[b, ...] as the inputs")
  of: str = field.value(IMAGE, "entry of the data that samples are like")
  ratio: float = field.value(1 / 3, "d_1 / d_2 of a copy", above=0.0, high=1.0)
  samples: int = field.value(
    1024, "samples, of as many evaluation examples at most", low=1
  )
  train_limit: int = field.value(0, "training examples; 0: all", low=0)

  def check(
    self,
    path: str,
    sources: Mapping[str, Any],
    widths: Callable[[Sequence[str]], Mapping[str, int]],
  ) -> None:
    """Raises UserError for an entry that is not there, or too few examples."""
    super().check(path, sources, widths)
    if self.of != IMAGE:
      stored.vector(sources["train"][0], self.of, f"{path}.of")
    few = len(sources["train"])
    if few < 2 or self.train_limit == 1:
      raise errors.UserError(
        f"{path} with {min(few, self.train_limit or few)} training example",
        "at least 2",
        f"raise {path}.train_limit, or use more data",
        f"{path}.train_limit",
      )

  def run(self, context: contexts.Context) -> base.Results:
    """Yields new and distance, of samples and of test examples."""
    made, _ = context.rows(self.predict, "eval", self.samples, self.weights)
    finite.check(made)
    if self.of == IMAGE:
      made = context.pixels(made) / 255.0
    train = self._rows(context, "train", self.train_limit)
    sets = {"": made, "test_": self._rows(context, "eval", self.samples)}
    for prefix, rows in sets.items():
      near = novelty.two_nearest(rows.reshape(len(rows), -1), train)
      yield (
        f"{prefix}new",
        100.0 * float(novelty.is_new(near, self.ratio).mean()),
      )
      yield f"{prefix}distance", float(near[:, 0].mean())
    yield "examples", len(made)

  def _rows(
    self, context: contexts.Context, split: str, limit: int
  ) -> np.ndarray:
    """[n, d] of the data set."""
    if self.of == IMAGE:
      rows, _ = context.rows("pixels", split, limit or None, self.weights)
      return rows.reshape(len(rows), -1)
    count = len(context.sources[split])
    index = range(min(count, limit or count))
    names = {self.of: "evals.<name>.of"}
    return stored.numbers(context, split, index, names)[self.of]
