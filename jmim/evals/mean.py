"""Means over held-out examples of what a method measures per example.

    mean over examples of predict(...)[key]        key -> [b], or [b] alone

The key of a batch is its number: two evaluations differ by the parameters
only.
"""

import dataclasses

import numpy as np

from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Means of one output, or of every entry of one that is a dict."""

  predict: str = field.value("errors", "one number per example, or a dict")
  limit: int = field.value(0, "examples used; 0: all", low=0)
  repeats: int = field.value(1, "passes with other random draws", low=1)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields the mean of every entry, and the number of examples."""
    limit, rows = self.limit or None, []
    for repeat in range(self.repeats):
      for out, _ in context.outputs(
        self.predict, "eval", limit, self.weights, key=repeat * 2**16
      ):
        rows.append(out if isinstance(out, dict) else {self.predict: out})
    for name in rows[0]:
      values = np.concatenate([row[name] for row in rows])
      yield name, float(np.mean(values))
    yield "examples", len(values)
