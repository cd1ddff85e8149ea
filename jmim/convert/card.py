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

from jmim.core import files
from jmim.runlog import writer as writers

# Of the protocol of a result line, what is told beside the figures.
TOLD = ("type", "predict", "weights", "data.name", "data.eval_split", "git")
DATA = ("name", "train_split", "eval_split", "eval_share", "size")
IF_SET = ("height", "box")


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
  told = [*DATA, *(key for key in IF_SET if about["data"].get(key))]
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
    *(f"* {key}: {about['data'][key]}" for key in told),
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


def figures(workdir: pathlib.Path) -> list[str]:
  """Lines of a table of the last value of each evaluation; [] without any."""
  last = {}
  for line in _evaluations(workdir):
    last |= {
      key: (value, line["step"])
      for key, value in line.items()
      if "/" in key and isinstance(value, int | float)
    }
  if not last:
    return []
  rows = [f"| {k} | {v:.5g} | {s} |" for k, (v, s) in sorted(last.items())]
  return ["| figure | value | step |", "|---|---|---|", *rows]


def protocols(workdir: pathlib.Path) -> list[str]:
  """How the evaluators measured, a line for each; ended by an empty one."""
  last = {x["eval"]: x.get("protocol", {}) for x in _evaluations(workdir)}
  told = {
    name: ", ".join(f"{k}={known[k]}" for k in TOLD if k in known)
    for name, known in sorted(last.items())
  }
  rows = [f"* {name}: {text}" for name, text in told.items() if text]
  return [*rows, ""] if rows else []


def _evaluations(workdir: pathlib.Path) -> Iterator[dict[str, Any]]:
  """Lines of metrics.jsonl that evaluators wrote; none of converted weights."""
  if (workdir / writers.LINES).is_file():
    yield from (x for x in writers.read(workdir) if "eval" in x)
