"""What a claim file is made of; `jmim.tools.claim` runs it.

A file `configs/claims/<slug>.py` has a docstring with the claim in words and
`get_claim() -> Claim`:

    def get_claim():
      return claims.Claim(
        runs={
          "ours": claims.Run("configs/ours_digits.py"),
          "base": claims.Run("configs/base.py", ("method.dims.depth=2",)),
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
"""

import dataclasses
import math
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from jmim.core import errors
from jmim.runlog import writer


@dataclasses.dataclass(frozen=True)
class Run:
  """One training run.

  Attributes:
    config: recipe, as --config takes it ("configs/umd_digits.py:steps=900").
    overrides: "key=value" items, as after --config. on the command line;
      "{workdir:NAME}" stands for the folder of the run NAME, which must come
      before this one; also in arguments of the recipe.
  """

  config: str
  overrides: tuple[str, ...] = ()


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
  """

  runs: Mapping[str, Run]
  conditions: tuple[Condition, ...]
  metrics: tuple[str, ...] = ()
  seeds: tuple[int, ...] = (0,)
