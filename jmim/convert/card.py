"""README.md of an export: what it is, how to load it, what was measured.

The head is the hub's: a licence to fill in, and tags. Figures stand with the
protocol they were measured by.
"""

import json
import pathlib
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import ml_collections

from jmim.checkpoints import classes
from jmim.core import files
from jmim.runlog import readings
from jmim.runlog import writer as writers

# With a share that is held out, no other split is read.
EVALUATED = ("data.eval_split", "data.eval_share")
# Of the protocol of a result line, what is told beside the figures.
TOLD = ("type", "predict", "weights", "data.name", *EVALUATED, "git")
DATA = ("name", "train_split", "size")
IF_SET = ("height", "box")
NAMED = 20  # classes, at most; more are counted


def write(
  workdir: pathlib.Path,
  config: ml_collections.ConfigDict,
  family: str,
  step: int,
  lines: Sequence[str] = (),
) -> str:
  """The model card.

  Args:
    workdir: of the run.
    config: of the run.
    family: name of the layout; "": our own.
    step: that was exported.
    lines: what the layout has no place for, or does otherwise.
  """
  about = json.loads(config.to_json())
  text = [
    "---",
    "library_name: jmim",
    "license: other  # yours to choose: that of your images and weights",
    "tags: [jmim]",
    "---",
    "",
    f"# {config.method.type} on {config.data.name}",
    "",
    f"Exported from step {step} of a run of jmim"
    + (f", in the layout `{family}`." if family else "."),
    "",
    "```python",
    "import jmim",
    "",
    'model = jmim.load("THIS_FOLDER")',
    'print(model.offers, model.config["data"])',
    "```",
    "",
    *(f"* {line}" for line in lines),
    *[""] * bool(lines),
    "## Recipe",
    "",
    *(_command(workdir) or ["Weights that were converted: no run of jmim."]),
    "",
    "## Data",
    "",
    *_data(workdir, about["data"]),
    "",
    "## Figures",
    "",
    *(figures(workdir) or ["No evaluation was logged."]),
    "",
    *protocols(workdir),
    "## Method",
    "",
    "```json",
    json.dumps(about["method"], indent=2),
    "```",
    "",
  ]
  return "\n".join(text)


def _command(workdir: pathlib.Path) -> list[str]:
  """The command that the run was first started with, as a block."""
  starts = files.read_json(workdir / "run.json", {}).get("starts") or [{}]
  command = starts[0].get("command")
  return ["```sh", command, "```"] if command else []


def _data(workdir: pathlib.Path, section: dict[str, Any]) -> Iterator[str]:
  """Lines about the data: the config's, and what was found by the run."""
  for key in (*DATA, *(key for key in IF_SET if section.get(key))):
    yield f"* {key}: {section[key]}"
  key = EVALUATED[bool(section["eval_share"])].removeprefix("data.")
  yield f"* {key}: {section[key]}"
  facts = files.read_json(workdir / classes.NAME, {})
  train, held_out = (
    facts.get(name, {}).get("examples") for name in ("train", "eval")
  )
  if train:
    yield f"* examples: {train}, for evaluation {held_out}"
  if names := classes.of(facts):
    few = ", ".join(names) if len(names) <= NAMED else len(names)
    yield f"* classes: {few}"


def figures(workdir: pathlib.Path) -> list[str]:
  """Lines of a table of the last value of each evaluation; [] without any."""
  last = {}
  for line in _evaluations(workdir):
    reads = readings.loaded(line.get("reads"))
    for key, value in line.items():
      name, _, number = key.partition("/")
      if number and isinstance(value, int | float):
        unit = reads.get(number, readings.PLAIN).unit
        shown = f"{value:.5g} {unit}".rstrip()
        last[readings.label(name, number)] = (shown, line["step"])
  if not last:
    return []
  rows = [f"| {k} | {v} | {s} |" for k, (v, s) in sorted(last.items())]
  return ["| figure | value | step |", "|---|---|---|", *rows]


def protocols(workdir: pathlib.Path) -> list[str]:
  """How the evaluators measured, a line for each; ended by an empty one."""
  last = {x["eval"]: x.get("protocol", {}) for x in _evaluations(workdir)}
  told = {name: _told(known) for name, known in sorted(last.items())}
  rows = [f"* {name}: {text}" for name, text in told.items() if text]
  return [*rows, ""] if rows else []


def _told(known: dict[str, Any]) -> str:
  """A protocol in a line, without what says nothing."""
  unread = EVALUATED[not known.get("data.eval_share")]
  some = {k: known[k] for k in TOLD if k != unread and known.get(k)}
  return ", ".join(f"{k}={v}" for k, v in some.items())


def _evaluations(workdir: pathlib.Path) -> Iterator[dict[str, Any]]:
  """Lines of metrics.jsonl that evaluators wrote; none of converted weights."""
  if (workdir / writers.LINES).is_file():
    yield from (x for x in writers.read(workdir) if "eval" in x)
