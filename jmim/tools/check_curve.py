"""Compares a run with the reference curve of its recipe.

    python -m jmim.tools.check_curve WORKDIR [--curve docs/curves/NAME.json]
    python -m jmim.tools.check_curve WORKDIR --record NAME   makes a reference

A reference holds, per metric, the value at some steps and the error allowed to
a run of another seed or machine. Exit code: 0 within, 1 outside,
2 a mistake (no such file, another recipe).
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import base_config
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import field
from jmim.runlog import console as consoles
from jmim.runlog import writer
from jmim.tools import cli

CURVES = pathlib.Path(__file__).resolve().parents[2] / "docs" / "curves"
# (metric, step, reference, run, allowed, within)
Row = tuple[str, int, float, float, float, bool]
# What makes two runs comparable; the rest may differ.
RECIPE = ("method", "data", "optim", "schedule", "train", "ema")
LOCAL = {
  "data": ("data_dir",),
  "train": ("log_steps", "keep", "profile_steps"),
}


def recipe(config: Mapping[str, Any]) -> dict[str, Any]:
  """The part of a config that fixes its curve, as JSON values.

  Args:
    config: of a run, or what this returned for one of an older version.

  Returns:
    its sections of RECIPE, complete and with today's names.

  Raises:
    UserError: the method cannot be made.
  """
  sections = {name: _complete(name, config[name]) for name in RECIPE}
  made = field.settings(discovery.make(config["method"]))
  sections["method"] = {"type": config["method"]["type"], **made}
  return json.loads(json.dumps(sections))


def _complete(name: str, section: Mapping[str, Any]) -> dict[str, Any]:
  """A section with the defaults of younger keys, without what is local."""
  start = f"{name}."
  defaults = {
    key.removeprefix(start): known.default
    for key, known in base_config.KEYS.items()
    if key.startswith(start)
  }
  local = LOCAL.get(name, ())
  return {
    k: v
    for k, v in {**defaults, **section}.items()
    if k not in local and not k.startswith("checkpoint_")
  }


def series(lines: Sequence[dict[str, Any]], metric: str) -> dict[int, float]:
  """step -> value of a metric, the last one written winning."""
  return {line["step"]: float(line[metric]) for line in lines if metric in line}


def compare(
  reference: dict[str, Any], lines: Sequence[dict[str, Any]]
) -> list[Row]:
  """Every point of the reference beside the run.

  Steps the run has not reached are left out; a step without a log line takes
  the line between its neighbours.
  """
  rows = []
  for metric, spec in reference["metrics"].items():
    logged = series(lines, metric)
    if not logged:
      continue
    steps = sorted(logged)
    values = [logged[s] for s in steps]
    for step, expected in zip(spec["steps"], spec["values"], strict=True):
      if not steps[0] <= step <= steps[-1]:
        continue
      value = float(np.interp(step, steps, values))
      allowed = max(spec["absolute"], spec["relative"] * abs(expected))
      within = bool(abs(value - expected) <= allowed)
      rows.append((metric, step, expected, value, allowed, within))
  return rows


def record(workdir: pathlib.Path, name: str, points: int = 12) -> pathlib.Path:
  """Makes docs/curves/<name>.json from a finished run.

  Args:
    workdir: of the run.
    name: of the reference.
    points: steps of each metric, evenly spread.
  """
  lines = writer.read(workdir)
  config = json.loads((workdir / "config.json").read_text(encoding="utf-8"))
  metrics = {}
  bands = {"loss": (0.0, 0.15), "loss/loss": (0.0, 0.1)}
  bands |= {"probe/accuracy": (4.0, 0.0), "recon/mse": (0.0, 0.15)}
  for metric, (absolute, relative) in bands.items():
    logged = series(lines, metric)
    if not logged:
      continue
    steps = sorted(logged)
    pick = np.unique(np.linspace(0, len(steps) - 1, points).round().astype(int))
    metrics[metric] = {
      "steps": [steps[i] for i in pick],
      "values": [round(logged[steps[i]], 5) for i in pick],
      "absolute": absolute,
      "relative": relative,
    }
  path = CURVES / f"{name}.json"
  path.parent.mkdir(parents=True, exist_ok=True)
  content = {"recipe": recipe(config), "metrics": metrics}
  path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
  return path


def find(config: dict[str, Any]) -> pathlib.Path:
  """The reference whose recipe is that of a run.

  Raises:
    UserError: there is none; says what differs from the nearest.
  """
  ours, nearest = recipe(config), None
  known = sorted(CURVES.glob("*.json"))
  for path in known:
    theirs = recipe(json.loads(path.read_text(encoding="utf-8"))["recipe"])
    differs = [*configs.changes(theirs, ours).values()]
    if not differs:
      return path
    if nearest is None or len(differs) < len(nearest[1]):
      nearest = (path.name, differs)
  near = ""
  if nearest:
    near = f" (nearest is {nearest[0]}, with {'; '.join(nearest[1][:6])})"
  raise errors.UserError(
    f"no reference curve for this recipe{near}",
    f"one of {[path.stem for path in known]}",
    "name one with --curve, or record one with --record",
    "--curve",
  )


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("workdir", type=pathlib.Path)
  parser.add_argument("--curve", type=pathlib.Path, help="reference to use")
  parser.add_argument("--record", metavar="NAME", help="write a reference")
  args = parser.parse_args(argv)
  return cli.run(lambda: check(args))


def check(args: argparse.Namespace) -> int:
  """Compares, or records; returns the exit code of `show`.

  Raises:
    UserError: no run there, or no reference for it.
  """
  if not (args.workdir / "metrics.jsonl").is_file():
    raise errors.UserError(
      f"{args.workdir} has no metrics.jsonl",
      "the workdir of a run",
      "name a workdir of jmim.main",
      "WORKDIR",
    )
  if args.record:
    print(f"wrote {record(args.workdir, args.record)}")
    return 0
  config = json.loads(
    (args.workdir / "config.json").read_text(encoding="utf-8")
  )
  path = args.curve or find(config)
  rows = compare(
    json.loads(path.read_text(encoding="utf-8")), writer.read(args.workdir)
  )
  return show(path, rows)


def show(path: pathlib.Path, rows: Sequence[Row]) -> int:
  """Prints the comparison; returns 0 if all is within (and there is some)."""
  consoles.Console().table(
    f"Against {path.name}",
    ("metric", "step", "reference", "run", "allowed +-", ""),
    [
      (
        m,
        s,
        *(consoles.number(v) for v in (expected, value, allowed)),
        "ok" if within else "OUTSIDE",
      )
      for m, s, expected, value, allowed, within in rows
    ],
  )
  outside = sum(not row[-1] for row in rows)
  good = bool(rows) and not outside
  print("PASS" if good else f"FAIL: {outside} of {len(rows)} points outside")
  return 0 if good else 1


if __name__ == "__main__":
  sys.exit(main())
