"""Results of evaluators: the newest numbers, reference lines beside them."""

import json
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypedDict

from jmim.report import curves
from jmim.runlog import readings


class Row(TypedDict):
  """One number.

  Attributes:
    key: its name.
    value: None: not finite.
    unit: of it: "%", "dB" or "".
    lines: name of a reference line -> its value.
    told: whether it is better than these, in words; "" without any.
  """

  key: str
  value: float | None
  unit: str
  lines: dict[str, float | None]
  told: str


class Result(TypedDict):
  """The newest results of an evaluator.

  Attributes:
    name: of its section.
    type: its module.
    step: of the run.
    rows: its numbers.
    protocol: [key, value as text].
  """

  name: str
  type: str
  step: int
  rows: list[Row]
  protocol: list[list[str]]


_NO_READS: Mapping[str, readings.Reading] = {}


def evaluations(lines: Iterable[curves.Line]) -> list[Result]:
  """The newest results of each evaluator, references beside their numbers."""
  newest = {line["eval"]: line for line in lines if "eval" in line}
  results = []
  for name, line in newest.items():
    prefix = f"{name}/"
    values = {
      k.removeprefix(prefix): v for k, v in line.items() if k.startswith(prefix)
    }
    protocol = line.get("protocol", {})
    results.append(
      Result(
        name=name,
        type=protocol.get("type", ""),
        step=line["step"],
        rows=rows(values, readings.loaded(line.get("reads"))),
        protocol=[[k, text(v)] for k, v in protocol.items()],
      )
    )
  return results


def rows(
  values: Mapping[str, Any], reads: Mapping[str, readings.Reading] = _NO_READS
) -> list[Row]:
  """One row per number that is no reference line."""
  table = []
  for key, lines in readings.compared(values).items():
    reading = reads.get(key, readings.PLAIN)
    shown = {name: curves.number(v) for name, v in lines.items()}
    finite = {k: v for k, v in shown.items() if v is not None}
    value = curves.number(values[key])
    table.append(
      Row(
        key=key,
        value=value,
        unit=reading.unit,
        lines=shown,
        told=""
        if value is None
        else readings.sentence(key, value, finite, reading),
      )
    )
  return table


def reference_keys(
  evals: Sequence[Result],
) -> dict[str, dict[str, float | None]]:
  """Curve -> {line: value}, to be drawn as horizontal lines."""
  return {
    f"{one['name']}/{row['key']}": row["lines"]
    for one in evals
    for row in one["rows"]
    if row["lines"]
  }


def text(value: Any) -> str:
  """A value as config.json has it; strings without quotes."""
  return value if isinstance(value, str) else json.dumps(value, default=str)
