"""Results of evaluators: the newest numbers, reference lines beside them."""

import json
import re
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypedDict

from jmim.report import curves


class Row(TypedDict):
  """One number.

  Attributes:
    key: its name.
    value: None: not finite.
    lines: name of a reference line -> its value.
  """

  key: str
  value: float | None
  lines: dict[str, float | None]


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


# Names of reference lines: "pixels_accuracy" is one of "accuracy",
# "mse_nearest" one of "mse".
_REFERENCES = (
  re.compile(r"(?P<line>pixels|untrained)_(?P<of>.+)"),
  re.compile(r"(?P<of>.+)_(?P<line>nearest|colour)"),
)


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
        rows=rows(values),
        protocol=[[k, text(v)] for k, v in protocol.items()],
      )
    )
  return results


def reference(key: str, values: Mapping[str, Any]) -> tuple[str, str] | None:
  """(number, line) if `key` is a reference line of another number."""
  for pattern in _REFERENCES:
    match = pattern.fullmatch(key)
    if match and match["of"] in values:
      return match["of"], match["line"]
  return None


def rows(values: Mapping[str, Any]) -> list[Row]:
  """One row per number that is no reference line."""
  table = {
    k: Row(key=k, value=curves.number(v), lines={})
    for k, v in values.items()
    if not reference(k, values)
  }
  for key, value in values.items():
    if pair := reference(key, values):
      of, line = pair
      table[of]["lines"][line] = curves.number(value)
  return list(table.values())


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
