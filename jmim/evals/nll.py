"""Negative log likelihood in bits per dimension, where a method defines one.

    bits/dim = mean over examples of nll(x) / (dims ln 2)

`nll` is the method's own bound, in nats per example; whether it is exact, a
bound, or of dequantised data is the method's business and said in its file. So
is what it is of: dims is its property `nll_dims` (codes of an image, whether
codes or images are read), without one the numbers of image or tokens. Pixels
are in units of the normalised input: a method for 8-bit images adds the log of
its scaling itself.
"""

import dataclasses
import math

import numpy as np

from jmim.core import errors
from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.runlog import readings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Nats per example and bits per dimension, each example once."""

  reads = (
    ("nats", readings.NATS),
    ("bits_per_dim", readings.BITS),
  )

  predict: str = field.value("nll", "nats per example [b]")
  limit: int = field.value(0, "examples; 0: all", low=0)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields nats, bits_per_dim and examples.

    Raises:
      UserError: what the nats are of is not known.
    """
    dims = _dims(context.method)
    nats, _ = context.rows(
      self.predict, "eval", self.limit or None, self.weights
    )
    yield "nats", float(np.mean(nats, dtype=np.float64))
    bits = np.mean(nats, dtype=np.float64) / (dims * math.log(2))
    yield "bits_per_dim", float(bits)
    yield "examples", len(nats)


def _dims(method):
  """Numbers of an example that its nats are of."""
  if own := getattr(method, "nll_dims", 0):
    return own
  inputs = method.inputs()
  read = inputs.get("image", inputs.get("tokens"))
  if read is None:
    raise errors.UserError(
      f"nll of a method that reads {', '.join(sorted(inputs))}",
      "image or tokens, or a method with `nll_dims`",
      "leave it out, or say there how many numbers its nats are of",
      "evals.<name>.type",
    )
  return math.prod(read.shape)
