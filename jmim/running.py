"""Runs from Python: train, follow, evaluate, sample and load what was trained.

import jmim
config = jmim.recipe("mae_digits:steps=200", "optim.lr=1e-3")
run = jmim.train(config, "runs/digits", on_log=print)
run.metrics["loss"].value       # an array, with .step and .time beside it
run.load()("features", images)  # a frozen model

The same as the command line, on this machine; several processes are started
by `python -m jmim.main` (docs/scale.md).
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import ml_collections
import numpy as np

from jmim import hub
from jmim.core import config as configs
from jmim.core import errors
from jmim.core import files
from jmim.core import home
from jmim.core import run_config
from jmim.core import validate
from jmim.modes import evaluate as evaluating
from jmim.modes import sample as sampling
from jmim.modes import train as training
from jmim.parallel import joining
from jmim.runlog import events
from jmim.runlog import writer as writers
from jmim.session import samples
from jmim.session import session as sessions

Line = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Series:
  """One number over a run.

  Attributes:
    step: int64 [n], steps done.
    value: float64 [n]; nan where it was not finite.
    time: float64 [n], Unix seconds.
    epoch: float64 [n].
  """

  step: np.ndarray
  value: np.ndarray
  time: np.ndarray
  epoch: np.ndarray

  @property
  def last(self) -> float:
    """The newest value."""
    return float(self.value[-1])


class Run:
  """A folder with a run in it.

  Attributes:
    workdir: the folder.
  """

  def __init__(self, workdir: str | pathlib.Path):
    """Names a run; reads nothing yet."""
    self.workdir = home.expand(str(workdir), "workdir")

  @property
  def config(self) -> ml_collections.ConfigDict:
    """What it was trained with; a copy.

    Raises:
      UserError: the folder holds no run.
    """
    return run_config.load(self.workdir)

  @property
  def lines(self) -> list[dict[str, Any]]:
    """All of metrics.jsonl, as it is now."""
    try:
      return writers.read(self.workdir)
    except OSError as e:
      raise errors.UserError(
        f"{self.workdir} has no metrics.jsonl",
        "the workdir of a run",
        "train it first: jmim.train(config, workdir)",
        "workdir",
      ) from e

  @property
  def metrics(self) -> dict[str, Series]:
    """Name -> all values logged under it, evaluations too."""
    return _metrics(self.lines)

  @property
  def results(self) -> dict[str, float]:
    """Name of a number of an evaluator -> its newest value."""
    lines = [line for line in self.lines if "eval" in line]
    return {name: x.last for name, x in _metrics(lines).items()}

  @property
  def pictures(self) -> list[pathlib.Path]:
    """What evaluators have drawn, in the order of their names."""
    return sorted((self.workdir / "images").glob("*.png"))

  @property
  def report(self) -> pathlib.Path:
    """The page about it."""
    return self.workdir / "report.html"

  def resume(self, *items: str, **heard: Any) -> "Run":
    """Goes on with it, with changed keys if any: `train.total_steps=2000`.

    Args:
      *items: "key=value" as after --config.
      **heard: as of `train`.
    """
    return train(_changed(self.config, items), self.workdir, **heard)

  def evaluate(
    self, *items: str, allow_changes: bool = False
  ) -> dict[str, float]:
    """Runs its evaluators on the newest checkpoint.

    Args:
      *items: "key=value": "evals.knn=None", "data.eval_split=test".
      allow_changes: also where the method is not what was trained.

    Returns:
      "evaluator/number" -> value. The files are in workdir/eval.

    Raises:
      UserError: no checkpoint, or changes that need `allow_changes`.
    """
    config = _changed(self.config, items)
    joining.join(config, None, None, None)
    return evaluating.run(config, self.workdir, allow_changes)

  def sample(
    self, num: int, *items: str, allow_changes: bool = False
  ) -> dict[str, np.ndarray]:
    """Samples of the newest checkpoint, made where they are not there yet.

    Args:
      num: images.
      *items: "key=value": "sample.seed=1", "method.sampling.guidance=2.0".
      allow_changes: also where the method is not what was trained.

    Returns:
      "image" uint8 [num, h, w, c] (or "tokens" int32 [num, l], or "points"
      float32 [num, n, 3]), "label" [num],
      "index" [num] 0 .. num - 1.

    Raises:
      UserError: no checkpoint, or a method that does not sample.
    """
    config = _changed(self.config, [f"sample.num={num}", *items])
    joining.join(config, None, None, None)
    folder = sampling.run(config, self.workdir, allow_changes)
    parts = []
    for path in samples.paths(folder):
      with np.load(path) as stored:
        parts.append(dict(stored))
    rows = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    order = np.argsort(rows["index"])[:num]
    return {name: x[order] for name, x in rows.items()}

  def load(self, weights: str = "raw") -> hub.Model:
    """The frozen model of its newest checkpoint; see `jmim.load`."""
    return hub.load(str(self.workdir), weights)


def _metrics(lines: list[dict[str, Any]]) -> dict[str, Series]:
  """Name -> all values under it in some lines of metrics.jsonl."""
  found: dict[str, list[tuple]] = {}
  for line in lines:
    place = (line["step"], *(line.get(k, np.nan) for k in ("time", "epoch")))
    for name, value in events.numbers(line):
      found.setdefault(name, []).append((*place, float(value)))
  columns = {name: zip(*rows, strict=True) for name, rows in found.items()}
  return {name: _series(*rows) for name, rows in columns.items()}


def _series(step, time, epoch, value) -> Series:
  floats = {"value": value, "time": time, "epoch": epoch}
  return Series(
    step=np.asarray(step, np.int64),
    **{name: np.asarray(x, np.float64) for name, x in floats.items()},
  )


def recipe(name: str, *items: str) -> ml_collections.ConfigDict:
  """The config of a recipe, with changed keys.

  Args:
    name: "mae_digits", "mae_imagenet:variant=L/16", or the path of a file.
    *items: "key=value", as after --config.: "optim.lr=1e-3", "evals=None".

  Raises:
    UserError: no such recipe, key or value.
  """
  return configs.override(configs.load(name), items)


def train(
  config: ml_collections.ConfigDict | str,
  workdir: str | pathlib.Path,
  *,
  on_log: sessions.Heard | None = None,
  on_eval: sessions.Heard | None = None,
  quiet: bool = False,
) -> Run:
  """Trains a run, or goes on with the one in `workdir`, until it is finished.

  Args:
    config: of `recipe`, changed as you like, or the name of a recipe.
    workdir: folder of the run; the same again resumes.
    on_log: called with each log line, {"step": 50, "loss": ..., ...}. What it
      raises ends the run; the same call goes on from the newest checkpoint.
    on_eval: the same with the results of each evaluator; "eval" is its name.
    quiet: print nothing.

  Raises:
    UserError: a mistake in the config, data or workdir.
    Diverged: the loss stayed non-finite.
    Preempted: a signal came; everything is saved.
    NotSaved: the workdir could not be written, again and again.
  """
  config = recipe(config) if isinstance(config, str) else configs.taken(config)
  validate.validate(config)
  run = Run(workdir)
  files.check_writable(run.workdir, "workdir")
  joining.join(config, None, None, None)

  def heard(line: Line) -> None:
    listener = on_eval if "eval" in line else on_log
    if listener:
      listener(line)

  training.run(config, run.workdir, quiet=quiet, heard=heard)
  return run


def _changed(
  config: ml_collections.ConfigDict, items: Any
) -> ml_collections.ConfigDict:
  changed = configs.override(config, items)
  validate.validate(changed)
  return changed
