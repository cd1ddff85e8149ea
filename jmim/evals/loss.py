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
from jmim.evals.lib import context as contexts
from jmim.runlog import readings


def whole_batches(
  context: contexts.Context, split: str, limit: int | None
) -> Iterator[contexts.Arrays]:
  """Global batches (numpy) without fillers: full ones, then the rest.

  The rest is joined with one full batch if it is less than half of one, and
  split into equal parts.
  """
  size, held, rest = context.spec.batch, None, []
  gather = context.devices.gather
  for local in context.batches(split, limit):
    batch = {name: gather(x) for name, x in local.items()}
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

  reads = ((r"loss(/.+)?", readings.LESS),)

  limit: int = field.value(0, "examples used; 0: all", low=0)

  def needs(self) -> tuple[str, ...]:
    """No predict function: it asks for the loss itself."""
    return ()

  def run(self, context: contexts.Context) -> base.Results:
    """Yields the mean of every loss and logged value."""
    losses, counts = [], []
    batches = whole_batches(context, "eval", self.limit or None)
    for i, batch in enumerate(batches):
      losses.append(context.loss(batch, self.weights, key=i))
      counts.append(len(batch["index"]))
    for name in losses[0]:
      values = [float(x[name]) for x in losses]
      yield name, float(np.average(values, weights=counts))
    yield "examples", sum(counts)
