"""Held-out loss under fixed draws.

    sum over batches of n_i loss(params, batch_i, draw(key i)) / sum n_i

The draws do not depend on the step, so two evaluations differ by the
parameters only. Each example counts once: what does not fill a batch is
evaluated in batches of its own, none smaller than half of the others where
there are that many examples (some losses compare the examples of a batch).
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from jmim.core import field
from jmim.evals.lib import base


def whole_batches(context, split: str, limit: int | None) -> Iterator[dict]:
  """Global batches (numpy) without fillers: full ones, then the rest.

  The rest is joined with one full batch if it is less than half of one, and
  split into equal parts.
  """
  size, held, rest = context.spec.batch, None, []
  for local in context.batches(split, limit):
    batch = {name: context.gather(x) for name, x in local.items()}
    valid = batch.pop("valid")
    if not valid.all():
      rest.append({name: x[valid] for name, x in batch.items()})
      continue
    if held is not None:
      yield held
    held = batch
  few = sum(len(part["index"]) for part in rest)
  if held is not None and 0 < few < size / 2:
    rest.insert(0, held)
  elif held is not None:
    yield held
  if not few:
    return
  joined = {n: np.concatenate([part[n] for part in rest]) for n in rest[0]}
  parts = -(-len(joined["index"]) // size)
  for i in range(parts):
    yield {n: np.array_split(x, parts)[i] for n, x in joined.items()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Losses and logged values on the evaluation split."""

  limit: int = field.value(0, "examples used; 0: all", low=0)

  def needs(self):
    """No predict function: it asks for the loss itself."""
    return ()

  def run(self, context):
    """Yields the mean of every loss and logged value."""
    found, counts = [], []
    batches = whole_batches(context, "eval", self.limit or None)
    for i, batch in enumerate(batches):
      found.append(context.loss(batch, self.weights, key=i))
      counts.append(len(batch["index"]))
    for name in found[0]:
      values = [float(f[name]) for f in found]
      yield name, float(np.average(values, weights=counts))
    yield "examples", sum(counts)
