"""Devices that are not attached: what `--topology` names.

v5e:16x16, v5p:4x4x4, v6e:8x8, v4:2x2x4: TPU chips, from libtpu (extra aot);
cpu:8: simulated devices of this host; gpu:8: GPUs of this host.
"""

import importlib.util
import math
import os
import re
from typing import Any

import jax
from jax.experimental import topologies

from jmim.core import errors

TPU = ("v4", "v5e", "v5p", "v6e")
EXAMPLES = "v5e:16x16, v5p:4x4x4, v6e:8x8, v4:2x2x4, cpu:8 or gpu:8"
KEY = "--topology"
# libtpu asks a metadata server what machine this is, complains where there is
# none, and wants to be the only one of its kind; all that for chips we do not
# use.
_QUIET = {
  "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
  "TPU_SKIP_MDS_QUERY": "1",
  "TPU_WORKER_HOSTNAMES": "localhost",
  "TPU_ACCELERATOR_TYPE": "v5litepod-16",
  "TPU_WORKER_ID": "0",
}


def parse(text: str) -> tuple[str, tuple[int, ...]]:
  """Reads "v5e:16x16" as ("v5e", (16, 16)).

  Raises:
    UserError: it names no topology.
  """
  match = re.fullmatch(r"(\w+):(\d+(?:x\d+)*)", text)
  kind = match[1] if match else ""
  sides = tuple(int(s) for s in match[2].split("x")) if match else ()
  dims = {"v5e": 2, "v6e": 2, "v4": 3, "v5p": 3, "cpu": 1, "gpu": 1}.get(kind)
  if dims is None or len(sides) != dims or min(sides) < 1:
    raise errors.UserError(
      f"{KEY}={text}",
      EXAMPLES,
      "name the chip and the sides of the slice: 2 of v5e and v6e, 3 of v4 "
      "and v5p",
      KEY,
    )
  return kind, sides


def prepare(text: str) -> None:
  """Sets what must be set before JAX starts; this process only compiles.

  Without it libtpu would look for chips, and print that there are none. JAX's
  compile cache is off: without chips a program of theirs can be written to it
  but not read, and the time that compiling takes is part of the report.
  """
  kind, sides = parse(text)
  jax.config.update("jax_enable_compilation_cache", False)
  if kind == "gpu":
    return
  jax.config.update("jax_platforms", "cpu")
  for name, value in _QUIET.items():
    os.environ.setdefault(name, value)
  simulated = "xla_force_host_platform_device_count"
  if kind == "cpu" and simulated not in os.environ.get("XLA_FLAGS", ""):
    jax.config.update("jax_num_cpu_devices", math.prod(sides))


def devices(text: str, slices: int = 1) -> list[Any]:
  """The devices of a topology, to compile for.

  Args:
    text: as `parse` takes it.
    slices: of that topology, joined by a data-centre network (TPU only).

  Raises:
    UserError: they cannot be had here.
  """
  kind, sides = parse(text)
  if kind in TPU:
    return _tpu(kind, sides, slices)
  if slices != 1:
    raise errors.UserError(
      f"--slices={slices} of {text}",
      "slices of TPU chips",
      "set hardware.mesh.replica to simulate slices",
      "--slices",
    )
  count = math.prod(sides)
  try:
    here = jax.devices(kind)
  except RuntimeError:
    here = []
  if len(here) < count:
    raise errors.UserError(
      f"{KEY}={text} where there are {len(here)}",
      f"{count} {kind} devices",
      "run it on such a machine, or name a TPU topology",
      KEY,
    )
  return list(here[:count])


def _tpu(kind: str, sides: tuple[int, ...], slices: int) -> list[Any]:
  if importlib.util.find_spec("libtpu") is None:
    raise errors.UserError(
      f"{KEY}={kind}:... without libtpu",
      "the TPU compiler",
      'pip install "jmim[aot]"',
      KEY,
    )
  name = f"{kind}:{'x'.join(map(str, sides))}"
  more = {"num_slices": slices} if slices > 1 else {}
  try:
    return list(topologies.get_topology_desc(name, "tpu", **more).devices)
  except (RuntimeError, ValueError) as e:
    raise errors.UserError(
      f"{KEY}={name}: {errors.first_line(e)}",
      "a slice that exists",
      f"see Google's list of {kind} slices; sides such as {EXAMPLES}",
      KEY,
    ) from e
