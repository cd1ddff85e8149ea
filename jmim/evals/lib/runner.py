"""Runs evaluators on a state; writes, prints and draws what they yield."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from jmim.core import state as states
from jmim.core import version
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import finite
from jmim.runlog import console as consoles
from jmim.runlog import writer as writers

# Keys of `data` that are told where somebody set them.
_IF_SET = ("keep", "group", "members", "pictures")


def protocol(
  evaluator: base.Evaluator, data: Mapping[str, Any], seed: int
) -> dict[str, Any]:
  """What a reader needs to repeat an evaluation, as JSON values."""
  keys = (
    "name",
    "train_split",
    "eval_split",
    "eval_share",
    "eval_crop",
    "eval_resize",
    "kernel",
    "size",
    "channels",
    "mean",
    "std",
  )
  return {
    "type": type(evaluator).__module__,
    **dataclasses.asdict(evaluator),
    **{f"data.{k}": data[k] for k in keys},
    **{f"data.{k}": data[k] for k in _IF_SET if data.get(k)},
    "seed": seed,
    "git": version.git_id(),
  }


@dataclasses.dataclass
class _Found:
  """What one evaluator has yielded: numbers, protocol, lines of the table."""

  details: dict[str, Any]
  values: dict[str, float] = dataclasses.field(default_factory=dict)
  rows: list[tuple[str, str]] = dataclasses.field(default_factory=list)

  def add(
    self,
    name: str,
    key: str,
    value: Any,
    *,
    writer: writers.Writer | None,
    step: int,
  ) -> None:
    """Takes what `name` yields under `key`; pictures are written at once."""
    label = f"{name}/{key}"
    if isinstance(value, Mapping):
      self.details |= value
      self.rows += [
        (f"{name} {k}", str(v))
        for k, v in value.items()
        if not isinstance(v, Mapping)  # only in the file
      ]
    elif np.ndim(value):
      path = writer and writer.image(step, label, value)
      self.rows.append((label, str(path) if path else "picture not written"))
    elif np.isfinite(value):
      self.values[label] = value
      self.rows.append((label, consoles.number(value)))
    else:
      self.not_computed(label, f"it is {value}")

  def not_computed(self, label: str, why: str) -> None:
    """Says why a number, or all of an evaluator, is missing."""
    known = self.details.get("not_computed")
    text = f"{label}: {why}"
    self.details["not_computed"] = f"{known}; {text}" if known else text
    self.rows.append((label, f"not computed: {why}"))


def run(
  evaluators: Mapping[str, base.Evaluator],
  context: contexts.Context,
  state: states.State,
  console: consoles.Console,
  writer: writers.Writer | None,
  data: Mapping[str, Any],
) -> dict[str, float]:
  """Runs `evaluators` on `state` and returns their numbers.

  Args:
    evaluators: name -> evaluator.
    context: of the run.
    state: training state.
    console: prints one table.
    writer: of the workdir, or None: nothing is written.
    data: the section `config.data`, for the protocol.

  Raises:
    UserError: an evaluator cannot work on this data.
  """
  context.start(state)
  rows, numbers = [], {}
  for i, (name, evaluator) in enumerate(evaluators.items(), 1):
    # Some take minutes or hours, and nothing else is printed before the end.
    console.print(f"evaluating {name} ({i} of {len(evaluators)})", "dim")
    found = _Found(details=protocol(evaluator, data, context.seed))
    try:
      for key, value in evaluator.run(context):
        found.add(name, key, value, writer=writer, step=context.step)
    except finite.NotComputed as why:
      found.not_computed(name, why.seen)
    if writer:
      values, details = found.values, found.details
      writer.scalars(context.step, values, eval=name, protocol=details)
    rows += found.rows
    numbers |= found.values
  context.stop()
  console.table(f"Evaluation at step {context.step}", ("", "value"), rows)
  return numbers
