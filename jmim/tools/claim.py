"""Trains what a claim of a paper's card asks for and says whether it holds.

    python -m jmim.tools.claim umd [--runs DIR] [--seeds 0,1,2]
    python -m jmim.tools.claim umd --config.data.data_dir=DIR   for all runs
    python -m jmim.tools.claim umd --exact             what no run is needed for
    python -m jmim.tools.claim --list

A claim is the file configs/claims/<slug>.py (or any path to such a file); see
`jmim/tools/claims.py`. Its runs go through `jmim.modes.train` like those of
`jmim.main`; with --runs they are kept, and the same command again continues
where it was interrupted. Runs that claims have in common are kept once, in the
folder `shared` beside that of --runs. Exit code: 0 all conditions hold, 1 one
does not, 2 a mistake, 3 a run diverged, 75 a signal came.
"""

import argparse
import contextlib
import importlib.util
import json
import pathlib
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import config as configs
from jmim.core import errors
from jmim.core import files
from jmim.core import recipes
from jmim.core import validate
from jmim.modes import apply
from jmim.modes import train
from jmim.parallel import backend
from jmim.parallel import malloc
from jmim.runlog import console as consoles
from jmim.session import lock as locks
from jmim.tools import claims
from jmim.tools import cli

PREEMPTED = 75  # as jmim.main has it
SHARED = "shared"  # beside the folders of claims: runs they have in common
RECORD = "claim.json"  # in a run's folder: recipe and config it was made of


def folder() -> pathlib.Path:
  """Where claims are: below the current folder, or those of jmim."""
  here = pathlib.Path("configs") / "claims"
  return here if here.is_dir() else recipes.folder() / "claims"


def load(slug: str) -> tuple[claims.Claim, str]:
  """The claim of a slug (or of a path ending in .py) and its docstring.

  Raises:
    UserError: no such file, or no get_claim in it.
  """
  path = pathlib.Path(slug if slug.endswith(".py") else folder() / f"{slug}.py")
  if not path.is_file():
    known = ", ".join(sorted(p.stem for p in folder().glob("*.py")))
    raise errors.UserError(
      f"no claim file {path}",
      f"one of: {known or f'none in {folder()}'}",
      "name a claim of --list, or the path of a file",
      "SLUG",
    )
  spec = importlib.util.spec_from_file_location(f"claim_{path.stem}", path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  if not hasattr(module, "get_claim"):
    raise errors.UserError(
      f"{path} has no get_claim",
      "def get_claim() -> claims.Claim",
      "see jmim/tools/claims.py",
      "SLUG",
    )
  return module.get_claim(), module.__doc__ or ""


def run(
  name: str,
  spec: claims.Run,
  seed: int,
  root: pathlib.Path,
  overrides: Sequence[str] = (),
) -> tuple[claims.Metrics, float]:
  """Trains one run of a claim, or continues or reads one that is there.

  One of a procedure is applied; that of a tool makes its file.

  Args:
    name: of the run.
    spec: recipe and overrides, with folders for the runs they read.
    seed: of the run.
    root: folder of the claim; shared runs are beside it.
    overrides: more "key=value" items; the last of a key wins.

  Returns:
    what it measured, seconds it took.

  Raises:
    UserError: the folder holds another run, another process trains it, or the
      config is wrong.
    Diverged: its loss stayed non-finite.
  """
  items = [*spec.overrides, f"seed={seed}", *overrides]
  config = configs.override(configs.load(spec.config), items)
  validate.validate(config)
  content = json.loads(config.to_json())
  workdir = root / f"seed{seed}" / name
  content |= {"arguments": list(spec.arguments)} if spec.tool else {}
  if spec.shared:
    workdir = root.parent / SHARED / claims.shared_name(spec.config, content)
  _record(workdir, spec.config, content)
  backend.keep_compiled(config.hardware.compile_cache)
  start = time.monotonic()
  if spec.tool:
    _make(spec, items, workdir / claims.MADE)
  else:
    (apply if "procedure" in config else train).run(config, workdir)
  return claims.Metrics(workdir), time.monotonic() - start


def _make(spec: claims.Run, items: Sequence[str], made: pathlib.Path) -> None:
  """What a tool makes of a recipe, if it is not there."""
  (made.parent / "metrics.jsonl").touch()  # it measures nothing
  if not made.exists():
    tool = importlib.import_module(f"jmim.tools.{spec.tool}")
    argv = [f"--config={spec.config}", f"--out={made}", *spec.arguments]
    tool.run(*tool.parse([*argv, *(f"--config.{item}" for item in items)]))


def _record(workdir: pathlib.Path, recipe: str, config: dict[str, Any]) -> None:
  """Writes what a run is made of; refuses a folder that holds another one."""
  # Another claim may be about to train the same run: one of them goes on.
  lock = locks.Lock(workdir)
  try:
    path = workdir / RECORD
    if path.exists():
      before = json.loads(path.read_text(encoding="utf-8"))["config"]
      _check_same(workdir, configs.changes(before, config))
    content = {"recipe": recipe, "config": config}
    files.replace(path, json.dumps(content, indent=2) + "\n")
  finally:
    lock.release()


def _check_same(workdir: pathlib.Path, changed: dict[str, str]) -> None:
  """Raises UserError if a run differs from the one that a folder holds."""
  if changed:
    raise errors.UserError(
      f"{workdir} holds another run ({'; '.join([*changed.values()][:4])})",
      "the folder of this claim's run, or none",
      "remove it, or give another --runs",
      "--runs",
    )


def measure(
  claim: claims.Claim,
  root: pathlib.Path,
  seeds: Sequence[int],
  overrides: Sequence[str] = (),
) -> list[dict[str, claims.Metrics]]:
  """The results of all runs, one entry per seed; prints where it is."""
  by_seed = []
  for seed in seeds:
    results = {}
    for name, spec in claim.runs.items():
      print(
        f"\n=== run {name}, seed {seed}: {spec.config} "
        f"{' '.join(spec.overrides)}",
        flush=True,
      )
      placed = spec.placed(lambda read, r=results: r[read].workdir)
      options = {"seed": seed, "root": root, "overrides": overrides}
      results[name], seconds = run(name, placed, **options)
      where = f" in {results[name].workdir}" if spec.shared else ""
      print(f"=== run {name}, seed {seed}: {seconds:.0f} s{where}", flush=True)
    by_seed.append(results)
  return by_seed


def report(
  claim: claims.Claim, by_seed: Sequence[dict[str, claims.Metrics]]
) -> bool:
  """Prints what was measured and which conditions hold; True if all do.

  Args:
    claim: that was measured.
    by_seed: run -> its metrics, of each seed.
  """
  console = consoles.Console()
  known = lambda metric: any(metric in run for run in by_seed[0].values())
  metrics = [metric for metric in claim.metrics if known(metric)]
  if metrics:
    rows = [
      (name, *(_mean_of([r[name].get(m) for r in by_seed]) for m in metrics))
      for name in claim.runs
    ]
    console.table("Measured", ("run", *metrics), rows)
  rows = [_checked(condition, by_seed) for condition in claim.conditions]
  header = ("condition", "measured", "seeds", "accept", "")
  console.table("Conditions", header, rows)
  failed = sum(row[-1] == "FAIL" for row in rows)
  print(f"FAIL: {failed} of {len(rows)}" if failed else "PASS")
  return bool(rows) and not failed


def _checked(
  condition: claims.Condition, by_seed: Sequence[dict[str, claims.Metrics]]
) -> tuple[str, str, str, str, str]:
  """(text, mean, spread over seeds, thresholds, verdict) of a condition."""
  show = consoles.number
  values = [float(condition.value(results)) for results in by_seed]
  mean = float(np.mean(values))
  spread = "one seed"
  if len(values) > 1:
    spread = f"{show(min(values))} .. {show(max(values))}"
  verdict = "PASS" if condition.holds(mean) else "FAIL"
  return condition.text, show(mean), spread, condition.accept(), verdict


def _mean_of(values: Sequence[float | None]) -> str:
  if None in values:
    return "-"
  return consoles.number(float(np.mean(values)))


def listing() -> str:
  """One line per claim file: slug and the first line of its docstring."""
  lines = []
  for path in sorted(folder().glob("*.py")):
    first = load(str(path))[1].strip().split("\n")[0]
    lines.append(f"{path.stem:<16} {first}")
  return "\n".join(lines) or f"no claim files in {folder()}"


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
  """Arguments and the config overrides of all runs."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("slug", nargs="?", help="a file of configs/claims")
  parser.add_argument("--list", action="store_true", help="show all claims")
  parser.add_argument("--exact", action="store_true", help="train nothing")
  parser.add_argument("--runs", type=pathlib.Path, help="keep the runs here")
  parser.add_argument("--seeds", help="comma-separated, instead of the claim's")
  argv, overrides = cli.overrides(argv)
  args = parser.parse_args(argv)
  if not args.slug and not args.list:
    parser.error("name a claim, or --list")
  return args, overrides


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args, overrides = parse(sys.argv[1:] if argv is None else argv)
  try:
    return cli.run(lambda: check(args, overrides))
  except errors.Diverged as e:
    print(f"diverged: {e}", file=sys.stderr)
    return 3
  except errors.Preempted as e:
    print(f"stopped: {e}; the same command continues", file=sys.stderr)
    return PREEMPTED


def check(args: argparse.Namespace, overrides: Sequence[str]) -> int:
  """Lists claims, or measures one; 0 if all of its conditions hold, else 1.

  Raises:
    UserError: no such claim, or a mistake in a run.
    Diverged: the loss of a run stayed non-finite.
    Preempted: a signal came.
  """
  if args.list:
    print(listing())
    return 0
  claim, text = load(args.slug)
  seeds = [int(s) for s in args.seeds.split(",")] if args.seeds else claim.seeds
  print(text.strip())
  if args.exact:
    return 0 if report(claims.exact(claim), [{}]) else 1
  with contextlib.ExitStack() as stack:
    root = args.runs
    if not root:
      made = stack.enter_context(tempfile.TemporaryDirectory())
      root = pathlib.Path(made) / "runs"
    by_seed = measure(claim, root, seeds, overrides)
    return 0 if report(claim, by_seed) else 1


if __name__ == "__main__":
  malloc.huge_pages()
  sys.exit(main())
