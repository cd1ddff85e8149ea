"""How time and memory of a step grow with one size of a recipe, and its FLOPs.

    python -m jmim.tools.scaling growth --config=configs/mae_cifar10.py \
      --sweep=data.batch=16,32,64 --sweep=method.dims.depth=3,6,12 \
      --sweep=data.size+method.size=32,48,64 --out=plots

A sweep is one key, or several that get the same values, and what they are set
to. Time is that of turns on this machine, memory and FLOPs the compiler's and
the program's. Each grows like size^e; e is the slope of a line through the
logarithms. A part of a step is the same for all sizes (the optimizer, for one),
so that e may well be less than that of the arithmetic; more is a fault.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import matplotlib.figure
import numpy as np

from jmim.core import errors
from jmim.tools import bench_sides

SHOWN = ("seconds", "memory", "flops")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweep:
  """Keys and the sizes they are set to, all at once."""

  keys: tuple[str, ...]
  sizes: tuple[int, ...]

  @property
  def name(self) -> str:
    """Of the keys."""
    return " = ".join(self.keys)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Growth:
  """What was measured in a sweep.

  Attributes:
    sweep: which.
    values: "seconds", "memory" [bytes], "flops" of a step -> one per size.
    exponents: the same -> e of size^e.
  """

  sweep: Sweep
  values: dict[str, list[float]]
  exponents: dict[str, float]


def parse(text: str) -> Sweep:
  """A sweep from "key=1,2,4" or "key+key=1,2,4".

  Raises:
    UserError: another form, or fewer than two sizes.
  """
  keys, _, sizes = text.rpartition("=")
  numbers = sizes.split(",")
  if not keys or len(numbers) < 2 or not all(n.isdigit() for n in numbers):
    raise errors.UserError(
      f"--sweep={text}",
      "a key (or several, joined by +) and two or more whole numbers",
      "write --sweep=data.batch=16,32,64",
      "--sweep",
    )
  return Sweep(keys=tuple(keys.split("+")), sizes=tuple(map(int, numbers)))


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
  """e of the line log value = e log size + c that fits best."""
  return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def measure(
  config: str, overrides: Sequence[str], sweep: Sweep, rounds: int
) -> Growth:
  """Compiles a step per size and times them in turn.

  Args:
    config: recipe.
    overrides: "key=value" items.
    sweep: what changes.
    rounds: turns of each size; the shortest counts.
  """
  specs = [
    {
      "config": config,
      "overrides": [*overrides, *(f"{key}={size}" for key in sweep.keys)],
    }
    for size in sweep.sizes
  ]
  found = bench_sides.shortest(specs, rounds)
  values = {
    "seconds": [seconds for _, seconds in found],
    "memory": [facts["memory"] for facts, _ in found],
    "flops": [facts["flops"] * facts["batch"] for facts, _ in found],
  }
  return Growth(
    sweep=sweep,
    values=values,
    exponents={k: exponent(sweep.sizes, v) for k, v in values.items()},
  )


def line(growth: Growth) -> str:
  """One line of what was found."""
  seconds = ", ".join(f"{s:.3f}" for s in growth.values["seconds"])
  shown = ", ".join(f"{k} {growth.exponents[k]:.2f}" for k in SHOWN)
  sizes = ", ".join(map(str, growth.sweep.sizes))
  return f"{growth.sweep.name} = {sizes}: {seconds} s; exponents: {shown}"


def draw(found: Sequence[Growth], title: str, path: Any) -> None:
  """A panel per sweep: time, memory and FLOPs over those of the least size."""
  figure = matplotlib.figure.Figure(
    figsize=(3.6 * len(found), 3.6), layout="constrained"
  )
  panels = figure.subplots(1, len(found), squeeze=False)[0]
  for axes, growth in zip(panels, found, strict=True):
    sizes = growth.sweep.sizes
    for key, mark in zip(SHOWN, ("o-", "s-", "--"), strict=True):
      values = np.array(growth.values[key])
      name = "time" if key == "seconds" else key.replace("flops", "FLOPs")
      label = f"{name}: size^{growth.exponents[key]:.2f}"
      axes.plot(sizes, values / values[0], mark, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sizes, [str(n) for n in sizes], minor=False)
    axes.minorticks_off()
    axes.set(xlabel=growth.sweep.keys[-1], ylabel="over that of the least")
    axes.legend(fontsize=8)
  figure.suptitle(title)
  figure.savefig(path, dpi=120)
