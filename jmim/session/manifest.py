"""config.json, and run.json: what a report shows that is not in the former.

    total, defaults      length of the run; defaults of the config's open keys
    model, hardware      the tables of the start, memory of the compiled step
    environment, starts  versions; when, from which step and by which command

Written once at each start, by the first host.
"""

import dataclasses
import datetime
import json
import pathlib
import platform
import shlex
import sys
from typing import Any

import jax
import ml_collections

from jmim.checkpoints import store as checkpoint
from jmim.core import config as configs
from jmim.core import files
from jmim.core import version
from jmim.runlog import console as consoles
from jmim.session import assemble

STARTS = 50  # most starts that are remembered


def config(
  workdir: pathlib.Path, step: int, now: ml_collections.ConfigDict
) -> list[str]:
  """Writes config.json.

  Args:
    workdir: of the run.
    step: this start continues after it.
    now: the resolved config.

  Returns:
    What is another than before, if it continues something.

  Raises:
    OSError: it cannot be written.
  """
  path = workdir / "config.json"
  now = json.loads(now.to_json())
  before = checkpoint.read_config(workdir) if path.exists() and step else now
  files.replace(path, json.dumps(now, indent=2) + "\n")
  return configs.changes(before, now)


def write(
  workdir: pathlib.Path,
  step: int,
  parts: assemble.Parts,
  tables: dict[str, Any],
  peak: str,
  compiled: Any,
) -> None:
  """Writes run.json, with the earlier starts of the run in it.

  Args:
    workdir: of the run.
    step: this start continues after it.
    parts: of the run.
    tables: by `cost.summary.tables`.
    peak: of all devices, as text.
    compiled: the training step.

  Raises:
    OSError: it cannot be written.
  """
  path = workdir / "run.json"
  before = json.loads(path.read_text())["starts"] if path.exists() else []
  hardware = {"rows": devices(parts.mesh, peak) + program(compiled)}
  found = {
    "total": parts.total,
    "defaults": defaults(parts),
    "model": tables,
    "hardware": hardware,
    "environment": environment(),
    "starts": [*before, start(step)][-STARTS:],
  }
  files.replace(path, json.dumps(found, indent=1, default=str) + "\n")


def defaults(parts: assemble.Parts) -> dict[str, Any]:
  """Dotted key -> default of the fields of the method and the evaluators."""
  owners = {"method": parts.method}
  owners |= {f"evals.{name}": e for name, (e, _) in parts.evaluators.items()}
  return {
    f"{path}.{field.name}": field.default
    for path, owner in owners.items()
    for field in dataclasses.fields(owner)
    if field.metadata.get("config", True)
  }


def devices(mesh: jax.sharding.Mesh, peak: str) -> list[list[str]]:
  """[what, text] of the devices of a mesh."""
  device = mesh.devices.flat[0]
  memory = (device.memory_stats() or {}).get("bytes_limit")
  return [
    ["mesh", " x ".join(f"{k}={v}" for k, v in mesh.shape.items())],
    ["devices", f"{mesh.size} x {device.device_kind} ({device.platform})"],
    ["processes", str(jax.process_count())],
    ["peak", peak],
    ["memory per device", consoles.size(memory, "B") if memory else "not told"],
  ]


def program(compiled: Any) -> list[list[str]]:
  """[what, text] of the memory of a compiled step, per device."""
  stats = compiled.memory_analysis()
  if stats is None:
    return [["step: memory", "not told by this backend"]]
  return [
    ["step: arguments", consoles.size(stats.argument_size_in_bytes, "B")],
    ["step: temporaries", consoles.size(stats.temp_size_in_bytes, "B")],
    ["step: outputs", consoles.size(stats.output_size_in_bytes, "B")],
  ]


def environment() -> list[list[str]]:
  """[package, version] of what the run is made with."""
  return [
    ["jmim", version.git_id() or version.code_hash()],
    ["python", platform.python_version()],
    *map(list, version.libraries().items()),
    ["system", platform.platform()],
  ]


def start(step: int) -> dict[str, Any]:
  """This start of the program."""
  now = datetime.datetime.now(datetime.UTC)
  return {
    "step": step,
    "time": f"{now:%Y-%m-%d %H:%M} UTC",
    "git": version.git_id(),
    "command": shlex.join(["python", *sys.orig_argv[1:]]),
  }
