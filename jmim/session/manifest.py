"""config.json, and run.json: what a report shows that is not in the former.

    total, defaults      length of the run; defaults of the config's open keys
    model, hardware      the tables of the start, memory of the compiled step
    environment, starts  versions; when, from which step and by which command

Written once at each start, by the first host.
"""

import datetime
import json
import pathlib
import platform
import shlex
import sys
from typing import Any

import jax

from jmim.core import config as configs
from jmim.core import field
from jmim.core import files
from jmim.core import renamed
from jmim.core import version
from jmim.runlog import console as consoles
from jmim.session import assemble

STARTS = 50  # most starts that are remembered


def config(
  workdir: pathlib.Path, step: int, parts: assemble.Parts
) -> list[str]:
  """Writes config.json.

  Args:
    workdir: of the run.
    step: this start continues after it.
    parts: of the run.

  Returns:
    What differs from the config before, if it continues something.

  Raises:
    OSError: it cannot be written.
  """
  path = workdir / "config.json"
  now = json.loads(parts.config.to_json())
  before = files.read_json(path, now) if step else now
  before = modern(before, parts)
  files.replace(path, json.dumps(now, indent=2) + "\n")
  return [*changes(before, now, parts).values()]


def changes(
  before: dict[str, Any], now: dict[str, Any], parts: assemble.Parts
) -> dict[str, str]:
  """`configs.changes` from the config of a run, `modern`, to that of now."""
  return configs.changes(before, now, defaults(parts))


def modern(config: dict[str, Any], parts: assemble.Parts) -> dict[str, Any]:
  """The config of an older run with today's names of keys."""
  config = {"method": {}, "evals": {}} | config
  for path, owner in owners(parts).items():
    top, _, name = path.partition(".")
    section = config[top].get(name) if name else config[top]
    if not section:
      continue  # an evaluator that is new
    section = renamed.current(type(owner), section)
    config[top] = config[top] | {name: section} if name else section
  return config


def owners(parts: assemble.Parts) -> dict[str, Any]:
  """Section of the config -> the object whose fields its keys are."""
  evaluators = {f"evals.{n}": e for n, (e, _) in parts.evaluators.items()}
  return {"method": parts.method} | evaluators


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
  before = files.read_json(path, {}).get("starts", [])
  hardware = {"rows": devices(parts.mesh, peak) + program(compiled)}
  content = {
    "total": parts.total,
    "defaults": defaults(parts),
    "model": tables,
    "hardware": hardware,
    "environment": environment(),
    "starts": [*before, start(step)][-STARTS:],
  }
  files.replace(path, json.dumps(content, indent=1, default=str) + "\n")


def defaults(parts: assemble.Parts) -> dict[str, Any]:
  """Dotted key -> default, of all fields of the method and the evaluators."""
  return {
    f"{path}.{key}": value
    for path, owner in owners(parts).items()
    for key, value in configs.flat(field.settings(type(owner)())).items()
  }


def devices(mesh: jax.sharding.Mesh, peak: str) -> list[list[str]]:
  """[what, text] of the devices of a mesh."""
  device = mesh.devices.flat[0]
  memory = (device.memory_stats() or {}).get("bytes_limit")
  text = consoles.size(memory, "B") if memory else "unknown"
  return [
    ["mesh", " x ".join(f"{k}={v}" for k, v in mesh.shape.items())],
    ["devices", f"{mesh.size} x {device.device_kind} ({device.platform})"],
    ["processes", str(jax.process_count())],
    ["peak", peak],
    ["memory per device", text],
  ]


def program(compiled: Any) -> list[list[str]]:
  """[what, text] of the memory of a compiled step, per device."""
  stats = compiled.memory_analysis()
  if stats is None:
    return [["step: memory", "unknown on this backend"]]
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


def _command() -> list[str]:
  """What was typed: where Python and `jmim` lie is of this machine only."""
  first, *others = sys.orig_argv[1:] or [""]
  if pathlib.PurePath(first).name == "jmim":
    return ["jmim", *others]
  return ["python", *sys.orig_argv[1:]]


def start(step: int) -> dict[str, Any]:
  """This start of the program."""
  now = datetime.datetime.now(datetime.UTC)
  return {
    "step": step,
    "time": f"{now:%Y-%m-%d %H:%M} UTC",
    "git": version.git_id(),
    "command": shlex.join(_command()),
  }
