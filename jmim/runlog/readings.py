"""How numbers of evaluations read: units, reference lines, one plain sentence.

    probe/accuracy   48.4 %   untrained 39.8 %, pixels 30.2 %
    probe/accuracy: better than the untrained network, 48.4 % against 39.8 %

An evaluator says the unit of its numbers, and which of two is the better one
(`evals.lib.base.Evaluator.reads`); that travels in its line of metrics.jsonl,
so that the terminal and the report say the same.
"""

import dataclasses
import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from jmim.runlog import console

HIGHER, LOWER = "higher", "lower"
# Names of reference lines: "pixels_accuracy" is one of "accuracy",
# "mse_nearest" one of "mse".
_REFERENCES = (
  re.compile(r"(?P<line>pixels|untrained|blind|still)_(?P<of>.+)"),
  re.compile(r"(?P<of>.+)_(?P<line>nearest|colour|input)"),
)
# Reference line -> what it is, in a sentence.
_WORDS = {
  "pixels": "plain pixels",
  "untrained": "the untrained network",
  "blind": "a guess without looking",
  "still": "a mask that stays where it is",
  "nearest": "the nearest visible pixel",
  "colour": "the mean visible colour",
  "input": "what it was given",
}


@dataclasses.dataclass(frozen=True)
class Reading:
  """How a number reads.

  Attributes:
    unit: printed behind it: "%", "dB".
    better: "higher" or "lower"; "": neither is better.
  """

  unit: str = ""
  better: str = ""


# (names as a regular expression, how they read), the first that fits counts.
Rules = Sequence[tuple[str, Reading]]
PLAIN = Reading()
PERCENT = Reading("%", HIGHER)
NATS, BITS = Reading("nats", LOWER), Reading("bits", LOWER)
MORE, LESS = Reading(better=HIGHER), Reading(better=LOWER)


def of(rules: Rules, key: str) -> Reading:
  """How a number reads by the rules of its evaluator; else plainly."""
  found = (r for pattern, r in rules if re.fullmatch(pattern, key))
  return next(found, PLAIN)


def stored(rules: Rules, keys: Sequence[str]) -> dict[str, list[str]]:
  """Key -> [unit, better] of those that do not read plainly, for a file."""
  found = {key: of(rules, key) for key in keys}
  return {k: [r.unit, r.better] for k, r in found.items() if r != PLAIN}


def loaded(written: Any) -> dict[str, Reading]:
  """What `stored` made; older lines have none."""
  if not isinstance(written, Mapping):
    return {}
  pair = lambda v: isinstance(v, Sequence) and len(v) == 2
  return {k: Reading(*map(str, v)) for k, v in written.items() if pair(v)}


def reference(key: str, values: Mapping[str, Any]) -> tuple[str, str] | None:
  """(number, line) if `key` is a reference line of another number."""
  for pattern in _REFERENCES:
    match = pattern.fullmatch(key)
    if match and match["of"] in values:
      return match["of"], match["line"]
  return None


def compared(values: Mapping[str, float]) -> dict[str, dict[str, float]]:
  """Number -> {reference line: value}, for each that is no line itself."""
  table: dict[str, dict[str, float]] = {
    key: {} for key in values if not reference(key, values)
  }
  for key, value in values.items():
    if pair := reference(key, values):
      of_number, line = pair
      # A line of a line ("pixels_mse_nearest") stands for itself.
      if of_number in table:
        table[of_number][line] = value
      else:
        table[key] = {}
  return table


def number(value: float, reading: Reading = PLAIN) -> str:
  """A number with its unit; percents and decibels with two decimals."""
  shown = f"{value:.2f}" if reading.unit in ("%", "dB") else None
  return f"{shown or console.number(value)} {reading.unit}".rstrip()


def label(name: str, key: str) -> str:
  """What a number of an evaluator is called: no name stands twice."""
  return name if name == key else f"{name}/{key}"


def beside(lines: Mapping[str, float], reading: Reading) -> str:
  """Reference lines in a row, the best one first."""
  down = reading.better != LOWER
  order = sorted(lines.items(), key=lambda x: x[1], reverse=down)
  return ", ".join(f"{name} {number(v, reading)}" for name, v in order)


def sentence(
  name: str, value: float, lines: Mapping[str, float], reading: Reading
) -> str:
  """Whether a number is better than the best of its lines; "" without any.

  Args:
    name: of the number.
    value: it.
    lines: name of a reference line -> its value.
    reading: of all of them.
  """
  if not lines or not reading.better:
    return ""
  best = max if reading.better == HIGHER else min
  line = best(lines, key=lines.__getitem__)
  wins = value != lines[line] and best(value, lines[line]) == value
  words = "better" if wins else "not better"
  pair = f"{number(value, reading)} against {number(lines[line], reading)}"
  return f"{name}: {words} than {_WORDS.get(line, line)}, {pair}"
