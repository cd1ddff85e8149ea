"""--mode=dry_run: does it fit, and how fast can it be, before there are chips.

    python -m jmim.main --mode=dry_run --topology=v5e:16x16 --config=...

The real train step (or the program of a procedure) is compiled for a topology
that is not attached; see `session.aot`.
"""

import json
import pathlib
from typing import Any

import ml_collections

from jmim.core import config as configs
from jmim.core import errors
from jmim.core import files
from jmim.cost import estimate
from jmim.parallel import chips
from jmim.parallel import topology as topologies
from jmim.runlog import console as consoles
from jmim.session import aot
from jmim.session import applied_aot

# What --tune tries, in this order.
TRIED = (
  {},
  {"hardware.zero": True},
  {"hardware.remat": "dots"},
  {"hardware.remat": "full"},
  {"hardware.remat": "full", "hardware.zero": True, "optim.accumulate": 2},
)


def run(
  config: ml_collections.ConfigDict,
  workdir: pathlib.Path | None,
  topology: str | None,
  slices: int,
  tune: bool,
) -> None:
  """Compiles for the chips of a topology and reports; see `report`.

  Args:
    config: of the run.
    workdir: folder for dry_run.json; None: it is only printed.
    topology: as `topology.parse` takes it.
    slices: of that topology.
    tune: try remat, ZeRO and accumulation as well.

  Raises:
    UserError: no topology, or as `report`.
  """
  if not topology:
    raise errors.UserError(
      "--mode=dry_run without --topology",
      "chips to compile for",
      "add --topology=v5e:16x16, or cpu:8",
      "--topology",
    )
  topologies.prepare(topology)
  if workdir is not None:
    files.check_writable(workdir, "--workdir")
  devices = topologies.devices(topology, slices)
  report(config, devices, slices=slices, out=workdir, tune=tune)


def report(
  config: ml_collections.ConfigDict,
  devices: list[Any],
  slices: int = 1,
  out: pathlib.Path | None = None,
  tune: bool = False,
) -> dict[str, Any]:
  """Compiles, prints the report and writes it as JSON.

  Args:
    config: of the run.
    devices: to compile for, see `parallel.topology`.
    slices: among which they are.
    out: folder for dry_run.json; None: it is only printed.
    tune: try remat, ZeRO and accumulation as well, and print what each gives.

  Raises:
    TooBig: it does not fit; with `tune`: nothing that was tried does.
    UserError: a mistake in the config.
  """
  console = consoles.Console()
  if tune:
    made = _tune(config, devices, slices, console)
  else:
    made = _measure(config, devices, slices)
    show(console, made)
  if out is not None:
    out.mkdir(parents=True, exist_ok=True)
    files.replace(out / "dry_run.json", json.dumps(made, indent=2) + "\n")
    console.print(f"written: {out / 'dry_run.json'}")
  return made


def _measure(
  config: ml_collections.ConfigDict, devices: list[Any], slices: int
) -> dict[str, Any]:
  """The step of a method, or what a procedure makes of a batch."""
  measure = applied_aot.measure if "procedure" in config else aot.measure
  return measure(config, devices, slices)


def show(console: consoles.Console, report: dict[str, Any]) -> None:
  """Prints a report of `aot.measure`."""
  owner = report.get("method") or report["procedure"]
  axes = " x ".join(f"{k}={v}" for k, v in report["mesh"].items() if v > 1)
  console.print(
    f"{owner['type']}: {report['parameters']:,} parameters, batch "
    f"{report['batch']:,} on {report['devices']} {report['device']} "
    f"({axes or 1}),"
    f" compiled in {report['compile_seconds']:.0f} s",
    style="bold",
  )
  for header, *rows in estimate.tables(report):
    console.table("", header, rows)


def _tune(
  config: ml_collections.ConfigDict,
  devices: list[Any],
  slices: int,
  console: consoles.Console,
) -> dict[str, Any]:
  """The fastest of TRIED that fits; prints a line for each.

  Fast by the roofline; where there is none (CPUs), the one that needs least
  memory.
  """
  best, rows, failure = None, [], None
  for changes in TRIED:
    items = [f"{k}={v}" for k, v in changes.items()]
    name = " ".join(i.partition(".")[2] for i in items) or "as it is"
    try:
      report = _measure(configs.override(config, items), devices, slices)
    except aot.TooBig as e:
      failure = e
      rows.append((name, f"{e.used / chips.GIB:.2f}", "too big", "", ""))
      continue
    except errors.UserError as e:
      failure = e
      rows.append((name, "", f"not with this {e.key}", "", ""))
      continue
    rows.append((name, *_columns(report)))
    report["tuned"] = items
    if best is None or rank(report) > rank(best):
      best = report
  header = ("tried", "GiB/chip", "FLOPs/model", "sent/min", "MFU bound")
  console.table("tune", header, rows)
  if best is None:
    raise failure
  console.print("best: " + (" ".join(best["tuned"]) or "as it is"))
  return best


def _columns(report: dict[str, Any]) -> tuple[str, str, str, str]:
  """Memory, FLOPs, bytes sent and bound of what was tried."""
  return (
    f"{report['memory']['peak'] / chips.GIB:.2f}",
    f"{report['flops']['compiled_over_model']:.2f}",
    f"{report['network']['over_minimum']:.2f}",
    f"{report.get('mfu_bound_one_axis', 0):.1%} to "
    f"{report.get('mfu_bound', 0):.1%}",
  )


def rank(report: dict[str, Any]) -> tuple[float, float]:
  """Faster first, then the smaller."""
  speed = round(report.get("images_per_second", 0.0), -2)
  return speed, -report["memory"]["peak"]
