"""Accuracy and negative log likelihood of a classifier's own logits.

top-k = share of examples whose label is among the k highest logits
nll   = mean of -log softmax(logits)_label
"""

import dataclasses

import numpy as np
import scipy.special

from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.metrics import accuracy
from jmim.runlog import readings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Accuracy in percent over the evaluation split, each example once."""

  reads = ((r"top\d+", readings.PERCENT), ("nll", readings.NATS))

  labelled = True

  predict: str = field.value("logits", "class scores [b, classes]")
  limit: int = field.value(0, "test examples; 0: all", low=0)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields top1, top5 (with more than five classes), nll, examples."""
    logits, truth = context.features(
      self.predict, "eval", self.limit or None, self.weights
    )
    for k in (1, 5):
      if k == 1 or logits.shape[1] > k:
        yield f"top{k}", accuracy.topk(logits, truth, k)
    logs = scipy.special.log_softmax(logits.astype(np.float64), axis=1)
    yield "nll", -float(logs[np.arange(len(truth)), truth].mean())
    yield "examples", len(truth)
