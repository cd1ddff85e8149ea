"""The values of a log line: means, learning rate, speed, MFU, waiting."""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from jmim.runlog import clock as clocks
from jmim.runlog import console

# Values that the clock decides: they differ between two runs that are alike.
_TIMES = ("images_per_second", "mfu", "input_wait", "time")
GOODPUT = "goodput/"


def is_time(key: str) -> bool:
  """Whether a value of metrics.jsonl depends on how fast a run is."""
  return key in _TIMES or key.startswith(GOODPUT)


@dataclasses.dataclass(kw_only=True)
class Meter:
  """Turns the sums kept in the state into the values of a log line.

  Attributes:
    clock: measures "input", "eval" and "checkpoint".
    batch: examples per step.
    total: steps of the run.
    flops: of one example and training step, by the rule of `cost.flops`.
    peak: FLOP/s of all devices.
    lr: (0-based) step -> learning rate.
    logged: the step of the last line.
  """

  clock: clocks.Clock
  batch: int
  total: int
  flops: int
  peak: float
  lr: Callable[[int], float]
  logged: int

  def read(
    self, step: int, window: Mapping[str, Any], counted: int, skipped: int
  ) -> tuple[dict[str, float], dict[str, str]]:
    """(values for the files, columns for a person) since the last line.

    Args:
      step: steps done.
      window: sums over the finite steps since the last line.
      counted: number of those steps.
      skipped: non-finite steps since the start of the run.

    Evaluation, saving and profiling do not count as training time; `goodput/`
    has the share of each in the wall time of the whole run.
    """
    spent = self.clock.lap()
    other = sum(spent.get(k, 0) for k in ("eval", "checkpoint", "profile"))
    busy = max(spent["total"] - other, 1e-9)
    nan = float("nan")
    mean = {
      k: float(v) / counted if counted else nan for k, v in window.items()
    }
    rate = (step - self.logged) * self.batch / busy
    self.logged = step
    speed = {
      "lr": self.lr(step - 1),
      "images_per_second": rate,
      "mfu": rate * self.flops / self.peak,
      "input_wait": spent.get("input", 0) / busy,
      "skipped_steps": int(skipped),
    }
    remaining = (self.total - step) * self.batch / rate
    shares = self.clock.shares()
    shown = columns(mean, speed, remaining) | {"goodput": goodput(shares)}
    shares = {f"{GOODPUT}{name}": share for name, share in shares.items()}
    return {**mean, **speed, **shares}, shown


def goodput(shares: Mapping[str, float]) -> str:
  """Like "87% (compile 9%, eval 4%)": steps, and what took from 0.5 % on."""
  rest = [
    f"{name} {share:.0%}"
    for name, share in sorted(shares.items(), key=lambda x: -x[1])
    if name != clocks.STEPS and share >= 0.005
  ]
  more = f" ({', '.join(rest)})" if rest else ""
  return f"{shares[clocks.STEPS]:.0%}{more}"


def columns(
  mean: Mapping[str, float], speed: Mapping[str, float], remaining: float
) -> dict[str, str]:
  """The columns of a log line, as text; every loss is shown.

  Args:
    mean: means since the last line.
    speed: as in `Meter.read`.
    remaining: seconds to the end of the run.
  """
  losses = {k: v for k, v in mean.items() if k.split("/")[0] == "loss"}
  shown = {k: console.number(v) for k, v in losses.items()}
  shown |= {
    "left": clocks.human(remaining),
    "img/s": f"{speed['images_per_second']:,.0f}",
    "lr": f"{speed['lr']:.2e}",
    "MFU": f"{speed['mfu']:.1%}",
    "wait": f"{speed['input_wait']:.1%}",
  }
  if speed["skipped_steps"]:
    shown["skipped"] = str(speed["skipped_steps"])
  return shown
