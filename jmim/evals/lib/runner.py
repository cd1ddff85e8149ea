"""Runs evaluators on a state; writes, prints and draws what they yield."""

import dataclasses
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np

from jmim.core import state as states
from jmim.core import version
from jmim.data import texts
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import finite
from jmim.runlog import console as consoles
from jmim.runlog import readings
from jmim.runlog import waits
from jmim.runlog import writer as writers

# Keys of `data` that are told where somebody set them.
_IF_SET = ("keep", "group", "members", "pictures", "box", "height")


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
    **texts.protocol(data),
    "seed": seed,
    "git": version.git_id(),
  }


@dataclasses.dataclass(kw_only=True)
class _Found:
  """What one evaluator has yielded: numbers, protocol, and words for people."""

  name: str
  reads: readings.Rules
  details: dict[str, Any]
  values: dict[str, float] = dataclasses.field(default_factory=dict)
  rows: list[tuple[str, str]] = dataclasses.field(default_factory=list)

  def add(
    self, key: str, value: Any, *, writer: writers.Writer | None, step: int
  ) -> None:
    """Takes what is yielded under `key`; pictures are written at once."""
    label = f"{self.name}/{key}"
    if isinstance(value, Mapping):
      self.details |= value
      self.rows += [
        (f"{self.name} {k}", str(v))
        for k, v in value.items()
        if not isinstance(v, Mapping)  # only in the file
      ]
    elif isinstance(value, base.Head):
      if writer:
        writer.head(step, self.name, **vars(value))
    elif np.ndim(value):
      path = writer and writer.image(step, label, value)
      self.rows.append((label, str(path) if path else "picture not written"))
    elif np.isfinite(value):
      self.values[key] = value
    else:
      self.not_computed(label, f"it is {value}")

  def not_computed(self, label: str, why: str) -> None:
    """Says why a number, or all of an evaluator, is missing."""
    known = self.details.get("not_computed")
    text = f"{label}: {why}"
    self.details["not_computed"] = f"{known}; {text}" if known else text
    self.rows.append((label, f"not computed: {why}"))

  def compared(
    self,
  ) -> Iterator[tuple[str, float, dict[str, float], readings.Reading]]:
    """(name for people, value, its reference lines, how they read)."""
    for key, lines in readings.compared(self.values).items():
      how = readings.of(self.reads, key)
      yield readings.label(self.name, key), self.values[key], lines, how

  def numbers(self) -> dict[str, float]:
    """All of them, by their names in metrics.jsonl."""
    return {f"{self.name}/{key}": v for key, v in self.values.items()}

  def table(self) -> list[tuple[str, str, str]]:
    """(number, value, its reference lines)."""
    return [
      (name, readings.number(value, how), readings.beside(lines, how))
      for name, value, lines, how in self.compared()
    ]

  def lines(self) -> list[str]:
    """What the reference lines say; then pictures, and all else in words."""
    told = (readings.sentence(*one) for one in self.compared())
    words = [f"{name}: {text}" for name, text in self.rows]
    return [*(text for text in told if text), *words]


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
  rows, lines, numbers = [], [], {}
  for i, (name, evaluator) in enumerate(evaluators.items(), 1):
    # Some take minutes or hours, and nothing else is printed before the end.
    found = _Found(
      name=name,
      reads=evaluator.reads,
      details=protocol(evaluator, data, context.seed),
    )
    with console.busy(f"evaluating {name} ({i} of {len(evaluators)})"):
      try:
        _yielded(evaluator, context, found, writer)
      except finite.NotComputed as why:
        found.not_computed(name, why.seen)
    if writer:
      reads = readings.stored(found.reads, list(found.values))
      with context.during(waits.WRITE):
        writer.scalars(
          context.step,
          found.numbers(),
          eval=name,
          protocol=found.details,
          reads=reads,
        )
    rows += found.table()
    lines += found.lines()
    numbers |= found.numbers()
  context.stop()
  title = f"Evaluation at step {context.step}"
  beside = any(row[-1] for row in rows)
  header = ("", "value", "beside it")[: 3 if beside else 2]
  console.table(title, header, [row[: len(header)] for row in rows])
  for text in lines:
    console.print(text)
  return numbers


def _yielded(
  evaluator: base.Evaluator,
  context: contexts.Context,
  found: _Found,
  writer: writers.Writer | None,
) -> None:
  """Runs one evaluator; takes what it yields."""
  with context.during(waits.evaluation(found.name)):
    for key, value in evaluator.run(context):
      with context.during(waits.WRITE):
        found.add(key, value, writer=writer, step=context.step)
