"""Cost of a step against chips, sizes, the share hidden; hosts' meetings.

    python -m jmim.tools.scaling chips --config=configs/mae_imagenet.py \
      --at=v5e:4x4,v5e:8x8,v5e:16x16 --batch_per_chip=16 --out=plots
    python -m jmim.tools.scaling masks --config=configs/mae_cifar10.py \
      --at=0,0.5,0.75,0.9 --out=plots
    python -m jmim.tools.scaling growth --config=configs/mae_cifar10.py \
      --sweep=data.batch=16,32,64 --sweep=method.dims.depth=3,6,12 --out=plots
    python -m jmim.tools.scaling hosts --at=1,8,64,1024

chips: weak scaling. The step is compiled for each topology (as --mode=dry_run)
at a fixed batch per chip; FLOPs, memory and traffic of a chip should stay flat.
masks: steps are timed here, in turn, at each `method.mask_ratio`; time should
follow the FLOPs of the visible tokens.
growth: steps are timed here, in turn, at sizes of a key; their time and memory
should grow no faster than their FLOPs (`scaling_growth`).
hosts: as many clients of JAX's service as there would be hosts meet on this
machine; a checkpoint takes seven meetings.
"""

import argparse
import dataclasses
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import matplotlib.figure

from jmim.core import config as configs
from jmim.parallel import malloc
from jmim.parallel import topology
from jmim.session import aot
from jmim.tools import bench_sides
from jmim.tools import cli
from jmim.tools import scaling_growth
from jmim.tools import scaling_hosts

Rows = list[dict[str, str | float]]
SHOWN = ("flops", "memory", "sent", "traffic")
# What each needs to be told.
SAID = {
  "chips": ("config", "at", "out"),
  "masks": ("config", "at", "out"),
  "growth": ("config", "sweep", "out"),
  "hosts": ("at",),
}


def spread(rows: Rows, key: str) -> float:
  """(largest - smallest) / smallest."""
  values = [row[key] for row in rows]
  return max(values) / min(values) - 1


def chips(
  config: str, overrides: Sequence[str], names: Sequence[str], per_chip: int
) -> Rows:
  """One row per topology: what a chip does in a step.

  Args:
    config: recipe.
    overrides: "key=value" items.
    names: topologies, as of --mode=dry_run.
    per_chip: batch of a chip.
  """
  rows = []
  for name in names:
    devices = topology.devices(name)
    batch = [f"data.batch={per_chip * len(devices)}"]
    made = configs.override(configs.load(config), [*overrides, *batch])
    cost = aot.measure(made, devices)
    rows.append(
      {
        "at": name,
        "chips": len(devices),
        "flops": cost["flops"]["compiled"],
        "memory": cost["memory"]["peak"],
        "traffic": cost["traffic"],
        "sent": sum(cost["network"]["bytes"].values()),
        "mfu_bound": cost.get("mfu_bound", float("nan")),
      }
    )
    print(
      "  ".join(
        f"{k} {v:.4g}" if isinstance(v, float | int) else str(v)
        for k, v in rows[-1].items()
      ),
      flush=True,
    )
  for key in SHOWN:
    print(f"{key}: flat within {spread(rows, key):.1%}")
  return rows


def masks(
  config: str, overrides: Sequence[str], ratios: Sequence[float], rounds: int
) -> Rows:
  """One row per share hidden: seconds of a step, and FLOPs of an image.

  Args:
    config: recipe.
    overrides: "key=value" items.
    ratios: values of method.mask_ratio.
    rounds: turns of each.
  """
  specs = [
    {"config": config, "overrides": [*overrides, f"method.mask_ratio={ratio}"]}
    for ratio in ratios
  ]
  found = bench_sides.shortest(specs, rounds)
  rows = [
    {"at": str(ratio), "seconds": seconds, "flops": facts["flops"]}
    for ratio, (facts, seconds) in zip(ratios, found, strict=True)
  ]
  for row in rows:
    row["predicted"] = rows[0]["seconds"] * row["flops"] / rows[0]["flops"]
    off = row["seconds"] / row["predicted"] - 1
    print(
      f"hidden {row['at']}: {row['seconds']:.3f} s, by FLOPs "
      f"{row['predicted']:.3f} s ({off:+.1%})",
      flush=True,
    )
  return rows


def draw_chips(rows: Rows, path: pathlib.Path) -> None:
  """What a chip does, relative to the first row."""
  figure = matplotlib.figure.Figure(figsize=(6, 3.5), layout="constrained")
  axes = figure.subplots()
  counts = [r["chips"] for r in rows]
  for key in SHOWN:
    share = [r[key] / rows[0][key] for r in rows]
    axes.plot(counts, share, marker="o", label=key)
  axes.set_xscale("log", base=2)
  axes.set_xticks(counts, [str(n) for n in counts])
  axes.set_ylim(0, 1.1 * axes.dataLim.ymax)
  axes.set(
    xlabel="chips, at a fixed batch per chip",
    ylabel=f"of a chip, over that at {counts[0]} chips",
  )
  axes.legend()
  figure.savefig(path, dpi=120)


def draw_masks(rows: Rows, path: pathlib.Path) -> None:
  """Time of a step beside what FLOPs predict."""
  figure = matplotlib.figure.Figure(figsize=(6, 3.5), layout="constrained")
  axes = figure.subplots()
  hidden = [float(r["at"]) for r in rows]
  axes.plot(hidden, [r["seconds"] for r in rows], "o-", label="measured")
  axes.plot(hidden, [r["predicted"] for r in rows], "s--", label="by FLOPs")
  axes.set(
    xlabel="share of patches hidden", ylabel="seconds per step", ylim=(0, None)
  )
  axes.legend()
  figure.savefig(path, dpi=120)


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  argv, overrides = cli.overrides(sys.argv[1:] if argv is None else argv)
  parser = argparse.ArgumentParser(
    prog="python -m jmim.tools.scaling",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("what", choices=tuple(SAID))
  parser.add_argument("--config", help="recipe (not for hosts)")
  parser.add_argument("--at", help="topologies, shares or hosts")
  parser.add_argument(
    "--sweep", action="append", help="KEY=1,2,4 or KEY+KEY=1,2,4 (growth)"
  )
  parser.add_argument("--out", help="folder of plot and JSON (not for hosts)")
  parser.add_argument("--batch_per_chip", type=int, default=16)
  parser.add_argument("--rounds", type=int, default=5, help="turns, timed")
  flags = parser.parse_args(argv)
  if lacking := [n for n in SAID[flags.what] if not getattr(flags, n)]:
    parser.error(f"{flags.what} needs --{' and --'.join(lacking)}")
  if flags.what == "hosts":
    return cli.run(lambda: hosts([int(x) for x in flags.at.split(",")]))
  return cli.run(lambda: plot(flags, overrides))


def hosts(counts: list[int]) -> None:
  """Prints a row for each number of hosts, as it is measured."""
  for row in scaling_hosts.measure(counts):
    print(
      f"{row['hosts']} hosts: a meeting {row['meeting']:.4f} s, those of a "
      f"save {row['meetings']:.3f} s",
      flush=True,
    )


def plot(flags: argparse.Namespace, overrides: Sequence[str]) -> None:
  """Measures, draws, and writes the rows as JSON.

  Raises:
    UserError: the recipe, a topology or a sweep is wrong.
  """
  out, at = pathlib.Path(flags.out), (flags.at or "").split(",")
  out.mkdir(parents=True, exist_ok=True)
  if flags.what == "growth":
    rows = grown(flags, overrides, out)
  elif flags.what == "chips":
    topology.prepare(at[-1])
    rows = chips(flags.config, overrides, at, flags.batch_per_chip)
    draw_chips(rows, out / "chips.png")
  else:
    shares = [float(x) for x in at]
    rows = masks(flags.config, overrides, shares, flags.rounds)
    draw_masks(rows, out / "masks.png")
  (out / f"{flags.what}.json").write_text(
    json.dumps(rows, indent=2) + "\n", encoding="utf-8"
  )


def grown(
  flags: argparse.Namespace, overrides: Sequence[str], out: pathlib.Path
) -> list[dict[str, Any]]:
  """What each sweep showed; printed and drawn."""
  found = []
  for sweep in [scaling_growth.parse(text) for text in flags.sweep]:
    found.append(
      scaling_growth.measure(flags.config, overrides, sweep, flags.rounds)
    )
    print(scaling_growth.line(found[-1]), flush=True)
  scaling_growth.draw(found, flags.config, out / "growth.png")
  return [dataclasses.asdict(growth) for growth in found]


if __name__ == "__main__":
  malloc.huge_pages()
  sys.exit(main())
