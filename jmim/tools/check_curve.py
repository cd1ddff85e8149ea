"""Compares a run with the reference curve of its recipe.

    python -m jmim.tools.check_curve WORKDIR [--curve docs/curves/NAME.json]
    python -m jmim.tools.check_curve WORKDIR --record NAME   makes a reference

A reference holds, per metric, the value at some steps and how far a run of
another seed or machine may be from it. Exit code: 0 within, 1 outside,
2 a mistake (no such file, another recipe).
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import base_config
from jmim.core import errors
from jmim.runlog import console as consoles
from jmim.runlog import writer

CURVES = pathlib.Path(__file__).resolve().parents[2] / "docs" / "curves"
# What makes two runs comparable; the rest may differ.
RECIPE = ("method", "data", "optim", "schedule", "train", "ema")
LOCAL = {
  "data": ("data_dir",),
  "train": ("log_steps", "keep", "profile_steps"),
}


def recipe(config: dict[str, Any]) -> dict[str, Any]:
  """The part of a config that fixes its curve."""
  return {
    section: {
      k: v
      for k, v in config[section].items()
      if k not in LOCAL.get(section, ()) and not k.startswith("checkpoint_")
    }
    for section in RECIPE
  }


def series(lines: Sequence[dict[str, Any]], metric: str) -> dict[int, float]:
  """step -> value of a metric, the last one written winning."""
  return {line["step"]: float(line[metric]) for line in lines if metric in line}


def compare(
  reference: dict[str, Any], lines: Sequence[dict[str, Any]]
) -> list[tuple[str, int, float, float, float, bool]]:
  """Rows (metric, step, reference, run, allowed, within).

  Steps the run has not reached are left out; a step without a log line takes
  the line between its neighbours.
  """
  rows = []
  for metric, spec in reference["metrics"].items():
    found = series(lines, metric)
    if not found:
      continue
    steps = sorted(found)
    values = [found[s] for s in steps]
    for step, want in zip(spec["steps"], spec["values"], strict=True):
      if not steps[0] <= step <= steps[-1]:
        continue
      got = float(np.interp(step, steps, values))
      allowed = max(spec["absolute"], spec["relative"] * abs(want))
      within = bool(abs(got - want) <= allowed)
      rows.append((metric, step, want, got, allowed, within))
  return rows


def record(workdir: pathlib.Path, name: str, points: int = 12) -> pathlib.Path:
  """Makes docs/curves/<name>.json from a finished run."""
  lines = writer.read(workdir)
  config = json.loads((workdir / "config.json").read_text())
  metrics = {}
  bands = {"loss": (0.0, 0.15), "loss/loss": (0.0, 0.1)}
  bands |= {"probe/accuracy": (4.0, 0.0), "recon/mse": (0.0, 0.15)}
  for metric, (absolute, relative) in bands.items():
    found = series(lines, metric)
    if not found:
      continue
    steps = sorted(found)
    pick = np.unique(np.linspace(0, len(steps) - 1, points).round().astype(int))
    metrics[metric] = {
      "steps": [steps[i] for i in pick],
      "values": [round(found[steps[i]], 5) for i in pick],
      "absolute": absolute,
      "relative": relative,
    }
  path = CURVES / f"{name}.json"
  path.parent.mkdir(parents=True, exist_ok=True)
  content = {"recipe": recipe(config), "metrics": metrics}
  path.write_text(json.dumps(content, indent=1) + "\n")
  return path


def find(config: dict[str, Any]) -> pathlib.Path:
  """The reference whose recipe is that of a run.

  Raises:
    UserError: there is none; says what differs from the nearest.
  """
  ours, best = recipe(config), None
  for path in sorted(CURVES.glob("*.json")):
    theirs = json.loads(path.read_text())["recipe"]
    differs = [
      f"{s}.{k}: {theirs[s].get(k)} -> {ours[s].get(k)}"
      for s in RECIPE
      for k in sorted(theirs[s].keys() | ours[s].keys())
      if _value(theirs, s, k) != _value(ours, s, k)
    ]
    if not differs:
      return path
    if best is None or len(differs) < len(best[1]):
      best = (path, differs)
  near = f"nearest is {best[0].name}, with {'; '.join(best[1][:6])}" * bool(
    best
  )
  raise errors.UserError(
    f"no reference curve for this recipe ({near})",
    f"one of {[p.stem for p in sorted(CURVES.glob('*.json'))]}",
    "name one with --curve, or record one with --record",
    "--curve",
  )


def _value(recipe: dict[str, Any], section: str, key: str) -> Any:
  """A key as JSON; one younger than the recipe has its default."""
  known = base_config.KEYS.get(f"{section}.{key}")
  default = known.default if known else None
  return json.loads(json.dumps(recipe[section].get(key, default)))


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("workdir", type=pathlib.Path)
  parser.add_argument("--curve", type=pathlib.Path, help="reference to use")
  parser.add_argument("--record", metavar="NAME", help="write a reference")
  args = parser.parse_args(argv)
  try:
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
    config = json.loads((args.workdir / "config.json").read_text())
    path = args.curve or find(config)
    rows = compare(json.loads(path.read_text()), writer.read(args.workdir))
  except errors.UserError as e:
    print(f"error:\n{e.screen()}", file=sys.stderr)
    return 2
  return show(path, rows)


def show(path: pathlib.Path, rows: Sequence[tuple]) -> int:
  """Prints the comparison; returns 0 if all is within (and there is some)."""
  consoles.Console().table(
    f"Against {path.name}",
    ("metric", "step", "reference", "run", "allowed +-", ""),
    [
      (
        m,
        s,
        *(consoles.number(v) for v in (want, got, allowed)),
        "ok" if within else "OUTSIDE",
      )
      for m, s, want, got, allowed, within in rows
    ],
  )
  outside = sum(not row[-1] for row in rows)
  good = bool(rows) and not outside
  print("PASS" if good else f"FAIL: {outside} of {len(rows)} points outside")
  return 0 if good else 1


if __name__ == "__main__":
  sys.exit(main())
