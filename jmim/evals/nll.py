"""Negative log likelihood in bits per dimension, where a method defines one.

    bits/dim = mean over examples of nll(x) / (dims ln 2)

`nll` is the method's own bound for images as it reads them, in nats per
example; whether it is exact, a bound, or of dequantised data is the method's
business and said in its file. Pixels are in units of the normalised input: a
method for 8-bit images adds the log of its scaling itself.
"""

import dataclasses
import math

import numpy as np

from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.runlog import readings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Nats per example and bits per dimension, each example once."""

  reads = (
    ("nats", readings.Reading("nats", readings.LOWER)),
    ("bits_per_dim", readings.Reading("bits", readings.LOWER)),
  )

  predict: str = field.value("nll", "nats per example [b]")
  limit: int = field.value(0, "examples; 0: all", low=0)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields nats, bits_per_dim and examples."""
    nats, _ = context.rows(
      self.predict, "eval", self.limit or None, self.weights
    )
    inputs = context.method.inputs()
    shape = inputs.get("image", inputs.get("tokens")).shape
    yield "nats", float(np.mean(nats, dtype=np.float64))
    bits = np.mean(nats, dtype=np.float64) / (math.prod(shape) * math.log(2))
    yield "bits_per_dim", float(bits)
    yield "examples", len(nats)
