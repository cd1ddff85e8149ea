"""Held-out loss under fixed draws.

    mean over batches of loss(params, batch, draw(key(batch number)))

The draws do not depend on the step, so two evaluations differ by the
parameters only. Batches are full ones: a loss is a mean over its batch, and a
padded one would count some examples twice.
"""

import dataclasses

import numpy as np

from jmim.core import errors
from jmim.core import method
from jmim.evals import base


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Losses and logged values on the evaluation split."""

  limit: int = method.field(0, "examples used; 0: all that fill batches", low=0)

  def needs(self):
    """No predict function: it asks for the loss itself."""
    return ()

  def run(self, context):
    """Yields the mean of every loss and logged value."""
    found = []
    for i, batch in enumerate(context.batches("eval", self.limit or None)):
      if batch["valid"].all():
        found.append(context.loss(batch, self.weights, key=i))
    if not found:
      raise errors.UserError(
        "the evaluation split does not fill one batch",
        f"at least {context.spec.batch} examples",
        "use a larger split, or a smaller batch", "data.batch",
      )  # fmt: skip
    for name in found[0]:
      yield name, float(np.mean([f[name] for f in found]))
    yield "examples", len(found) * context.spec.batch
