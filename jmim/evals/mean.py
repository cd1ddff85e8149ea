"""Means over held-out examples of what a method measures per example.

    mean over examples of predict(...)[key]        key -> [b], or [b] alone

The key of a batch is its number: two evaluations differ by the parameters
only.
"""

import dataclasses

import numpy as np

from jmim.core import field
from jmim.evals.lib import base


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Means of one output, or of every entry of one that is a dict."""

  predict: str = field.value("errors", "one number per example, or a dict")
  limit: int = field.value(0, "examples used; 0: all", low=0)
  repeats: int = field.value(1, "passes with other random draws", low=1)

  def run(self, context):
    """Yields the mean of every entry, and the number of examples."""
    rows = []
    for repeat in range(self.repeats):
      for i, batch in enumerate(context.batches("eval", self.limit or None)):
        key = repeat * 2**16 + i
        out = context.apply(self.predict, batch, self.weights, key=key)
        out = out if isinstance(out, dict) else {self.predict: out}
        valid = context.gather(batch["valid"])
        rows.append({k: v[valid] for k, v in out.items()})
    for name in rows[0]:
      yield name, float(np.mean(np.concatenate([r[name] for r in rows])))
    yield "examples", sum(len(next(iter(r.values()))) for r in rows)
