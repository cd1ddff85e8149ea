"""What a claim file is made of; `jmim.tools.claim` runs it.

A file `configs/claims/<slug>.py` has a docstring with the claim in words and
`get_claim() -> Claim`:

    def get_claim():
      return claims.Claim(
        runs={
          "ours": claims.Run("configs/ours_digits.py"),
          "base": claims.Run("configs/base.py", ("method.dims.depth=2",)),
          "teacher": claims.Run("configs/teacher.py", shared=True),
        },
        conditions=(
          claims.Condition(
            text="held-out error, ours / base",
            value=lambda r: r["ours"]["loss/loss"] / r["base"]["loss/loss"],
            at_most=0.9,
          ),
        ),
        metrics=("loss/loss", "probe/accuracy"),
      )

The runs of a claim lie in its own folder. One that is `shared` lies beside it,
in a folder that all claims have in common, and is trained by the first of them
that asks for that config and seed.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import pathlib
import re
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from jmim.core import errors
from jmim.runlog import writer

MADE = "made.npz"  # what a tool makes, in the folder of its run


@dataclasses.dataclass(frozen=True)
class Run:
  """One training run, or what a tool makes of a recipe.

  Attributes:
    config: recipe, as --config takes it ("configs/umd_digits.py:steps=900").
    overrides: "key=value" items, as after --config. on the command line;
      "{workdir:NAME}" stands for the folder of the run NAME, which must come
      before this one; also in arguments of the recipe.
    shared: it is trained once for all claims that ask for the same config and
      seed; it may read folders of shared runs only.
    tool: module of `jmim.tools` that takes a recipe and --out, in place of
      training: it makes MADE in the folder ("make_codebook").
    arguments: of the tool, beside these.

  Raises:
    ValueError: a tool that is shared, or arguments without a tool.
  """

  config: str
  overrides: tuple[str, ...] = ()
  _: dataclasses.KW_ONLY
  shared: bool = False
  tool: str = ""
  arguments: tuple[str, ...] = ()

  def __post_init__(self):
    if self.tool and self.shared or self.arguments and not self.tool:
      raise ValueError(
        f"run of {self.config}: tool {self.tool!r}, arguments "
        f"{self.arguments}, shared {self.shared}: tools alone take arguments, "
        "and what they make is not shared"
      )

  def reads(self) -> list[str]:
    """Names of the runs whose folders it is given."""
    return re.findall(r"{workdir:([^}]*)}", " ".join(self._words()))

  def placed(self, folder: Callable[[str], pathlib.Path]) -> "Run":
    """The same run with folders in place of "{workdir:NAME}"."""
    put = lambda found: str(folder(found[1]))
    words = [re.sub(r"{workdir:([^}]*)}", put, w) for w in self._words()]
    return dataclasses.replace(
      self, config=words[0], overrides=tuple(words[1:])
    )

  def _words(self):
    return (self.config, *self.overrides)


class Metrics(dict):
  """Last value of every metric of a finished run: name -> float.

  Attributes:
    workdir: of the run.
  """

  def __init__(self, workdir: pathlib.Path):
    """Reads workdir/metrics.jsonl."""
    super().__init__()
    self.workdir = pathlib.Path(workdir)
    self._lines = writer.read(workdir)
    for line in self._lines:
      self.update({k: float(v) for k, v in line.items() if _is_number(v)})

  def __missing__(self, name: str) -> float:
    raise errors.UserError(
      f"{self.workdir.name} measured no {name!r}",
      f"one of {', '.join(sorted(self))}",
      "name a metric that an evaluator of the run's recipe yields",
      None,
    )

  def history(self, name: str) -> dict[int, float]:
    """step -> value of one metric, in the order of the steps."""
    self[name]  # raises if there is none
    values = {x["step"]: float(x[name]) for x in self._lines if name in x}
    return dict(sorted(values.items()))


def _is_number(value: Any) -> bool:
  """Numbers, and the words that stand for those JSON has none for."""
  if isinstance(value, str):
    return value in ("nan", "inf", "-inf")
  return isinstance(value, int | float) and not isinstance(value, bool)


Results = Mapping[str, Metrics]  # run name -> what it measured


@dataclasses.dataclass(frozen=True, kw_only=True)
class Condition:
  """A measured number and what it must not exceed or fall below.

  Attributes:
    text: what is measured.
    value: results of the runs of one seed -> the number.
    at_most: inclusive upper threshold, or None.
    at_least: inclusive lower threshold, or None.
  """

  text: str
  value: Callable[[Results], float]
  at_most: float | None = None
  at_least: float | None = None

  def __post_init__(self):
    if self.at_most is None and self.at_least is None:
      raise ValueError(f"condition {self.text!r} has no threshold")

  def holds(self, value: float) -> bool:
    """Whether a measured number is accepted; nan never is."""
    low = -math.inf if self.at_least is None else self.at_least
    high = math.inf if self.at_most is None else self.at_most
    return bool(low <= value <= high)

  def accept(self) -> str:
    """The thresholds, for the table."""
    parts = [(">=", self.at_least), ("<=", self.at_most)]
    return " and ".join(f"{sign} {x:g}" for sign, x in parts if x is not None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
  """Runs, and what must hold of them.

  Attributes:
    runs: name -> run, trained in this order.
    conditions: all must hold. With several seeds, each number is the mean
      over the seeds of the number measured from the runs of one seed.
    metrics: shown for every run that has them.
    seeds: of the runs; --seeds replaces them.

  Raises:
    ValueError: a run reads the folder of one that does not come before it, or a
      shared one that of a run which is not shared.
  """

  runs: Mapping[str, Run]
  conditions: tuple[Condition, ...]
  metrics: tuple[str, ...] = ()
  seeds: tuple[int, ...] = (0,)

  def __post_init__(self):
    before: set[str] = set()
    for name, run in self.runs.items():
      for read in run.reads():
        if read not in before:
          raise ValueError(
            f"run {name!r} reads the folder of {read!r}, which is none of the "
            f"runs before it: {sorted(before)}"
          )
        if run.shared and not self.runs[read].shared:
          raise ValueError(
            f"run {name!r} is shared and reads the folder of {read!r}, which "
            "is not: mark both, or neither"
          )
      before.add(name)


class _NeedsRun(Exception):
  """A condition asked for a run where nothing is trained."""


class _Untrained(dict):
  """Results of a claim of which nothing is trained."""

  def __missing__(self, name: str):
    raise _NeedsRun(name)


def exact(claim: Claim) -> Claim:
  """What of a claim is measured without any run: counted, or in closed form.

  Raises:
    UserError: every condition asks for a run.
  """
  found = []
  for condition in claim.conditions:
    with contextlib.suppress(_NeedsRun):
      value = float(condition.value(_Untrained()))
      constant = lambda _, value=value: value
      found.append(dataclasses.replace(condition, value=constant))
  if not found:
    raise errors.UserError(
      "every condition of this claim asks for a run",
      "one that is exact",
      "leave --exact out",
      "--exact",
    )
  return Claim(runs={}, conditions=tuple(found))


def shared_name(recipe: str, config: dict[str, Any]) -> str:
  """Of the folder of a shared run: recipe, seed, and a hash of the config.

  Args:
    recipe: as --config takes it; only its file is named.
    config: resolved, as JSON has it; whatever differs in it is another run.
  """
  stem = pathlib.Path(recipe.partition(":")[0]).stem
  text = json.dumps(config, sort_keys=True)
  digest = hashlib.sha256(text.encode()).hexdigest()[:12]
  return f"{stem}-seed{config['seed']}-{digest}"
