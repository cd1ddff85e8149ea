"""The training step compiled ahead of time, for devices that are not attached.

No data is read: an epoch counts as EXAMPLES examples, which changes nothing but
constants of the learning rate.
"""

import dataclasses
import re
import time
import types
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from jmim.core import config as configs
from jmim.core import errors
from jmim.cost import estimate
from jmim.cost import hlo_cost
from jmim.cost import summary
from jmim.data import inputs
from jmim.parallel import chips
from jmim.parallel import sharding
from jmim.session import assemble
from jmim.session import program as programs

EXAMPLES = 2**20
# The compiler's words: all that is needed, or the temporaries alone where not
# even they fit.
FULL = re.compile(r"Used ([\d.]+[KMG]) of ([\d.]+[KMG]) hbm")
FULL_ALONE = re.compile(
  r"temporaries \(([\d.]+[KMG])\) exceeds available HBM \(([\d.]+[KMG])\)"
)
# Gathers and scatters stay on the TensorCore: jaxlib cannot read the text of a
# program that hands them to a SparseCore (v5p, v6e).
READABLE = {
  "xla_tpu_offload_gather_to_sparsecore": False,
  "xla_tpu_enable_offloading_gather_to_sparsecore": False,
  "xla_tpu_enable_offloading_scatter_to_sparsecore": False,
  "xla_tpu_offload_gather_to_sc_min_num_indices": 2**30,
  "xla_tpu_offload_scatter_to_sc_min_num_indices": 2**30,
}


class TooBig(errors.UserError):
  """A step that does not fit into the memory of a chip.

  Attributes:
    used: bytes it needs.
    limit: bytes there are.
  """

  def __init__(self, used: float, limit: float, fix: str):
    gib = lambda x: f"{x / chips.GIB:.2f} GiB"
    self.used, self.limit = used, limit
    super().__init__(
      f"a step that needs {gib(used)} of a chip's {gib(limit)}",
      f"{gib(used - limit)} less",
      fix,
      "hardware",
    )


class NoData:
  """Stands for data sets that are not there."""

  num_classes = 1000

  def __len__(self) -> int:
    return EXAMPLES


def batch_shapes(parts: assemble.Parts) -> dict[str, jax.ShapeDtypeStruct]:
  """What the pipeline will put on the devices."""
  where = sharding.batch_sharding(parts.mesh)
  travels = inputs.on_devices(parts.spec, parts.method.inputs())
  return {
    name: jax.ShapeDtypeStruct((parts.batch, *shape), dtype, sharding=where)
    for name, (shape, dtype) in travels.items()
  }


def make_program(
  config: ml_collections.ConfigDict, devices: Sequence[Any] | None = None
) -> tuple[assemble.Parts, programs.Program]:
  """The training step of a config, without data, weights or evaluators.

  Args:
    config: of the run.
    devices: of the mesh; None: those of this process.

  Raises:
    UserError: a mistake in the config.
  """
  config = configs.override(config, [f"evals.{n}=None" for n in config.evals])
  stand_in = {"train": NoData(), "eval": NoData()}
  parts = assemble.make(config, devices, stand_in)
  everywhere = sharding.replicated(parts.mesh)
  consts = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=everywhere),
    parts.consts,
  )
  parts = dataclasses.replace(parts, consts=consts)
  return parts, programs.make(parts, batch_shapes(parts))


def measure(
  config: ml_collections.ConfigDict, devices: list[Any], slices: int = 1
) -> dict[str, Any]:
  """Compiles the step; the report of `cost.estimate`.

  Args:
    config: of the run.
    devices: to compile for, see `parallel.topology`.
    slices: among which they are.

  Raises:
    TooBig: it does not fit.
    UserError: a mistake in the config.
  """
  parts, program = make_program(config, devices)
  abstract, work = program.abstract, program.work()
  start = time.perf_counter()
  try:
    lowered = program.lower(program.like)
    compiled, text = compile_with_text(lowered, program.options)
  except jax.errors.JaxRuntimeError as e:
    state = summary.bytes_per_device(abstract, program.shardings)
    raise too_big(str(e), state, parts) from e
  facts = estimate.Facts(
    devices=len(devices),
    hosts=len({d.process_index for d in devices}),
    batch=parts.batch,
    parameters=sum(x.size for x in jax.tree.leaves(abstract.params)),
    split=parts.mesh.shape["tensor"] * parts.mesh.shape["expert"],
    itemsize=jnp.dtype(parts.method.rt.dtype).itemsize,
    model_flops=(work // parts.batch).step,
    memory=memory(compiled),
    compile_seconds=time.perf_counter() - start,
  )
  return report(facts, text, parts, devices=devices, slices=slices)


def report(
  facts: estimate.Facts,
  text: str,
  parts: Any,
  *,
  devices: list[Any],
  slices: int,
) -> dict[str, Any]:
  """That of `cost.estimate`, and what was compiled for what.

  Args:
    facts: of the program.
    text: of it, compiled.
    parts: of a method or a procedure.
    devices: it was compiled for.
    slices: among which they are.
  """
  cost, config = hlo_cost.cost(text, slices, len(devices)), parts.config
  owner = "procedure" if "procedure" in config else "method"
  return estimate.report(cost, facts, chips.find(devices[0])) | {
    "device": devices[0].device_kind,
    "slices": slices,
    "mesh": dict(parts.mesh.shape),
    owner: config[owner].to_dict(),
    "hardware": config.hardware.to_dict(),
  }


def compile_with_text(
  lowered: jax.stages.Lowered,
  options: Mapping[str, bool | str] = types.MappingProxyType({}),
) -> tuple[jax.stages.Compiled, str]:
  """The program, compiled with these options, and its text."""
  compiled = programs.compiled(lowered, options)
  try:
    return compiled, compiled.as_text()
  except jax.errors.JaxRuntimeError as e:
    if "async-update" not in str(e):
      raise
  compiled = programs.compiled(lowered, {**options, **READABLE})
  return compiled, compiled.as_text()


def memory(compiled: Any) -> dict[str, int]:
  """Bytes of a chip, as the compiler plans them."""
  plan = compiled.memory_analysis()
  fresh = plan.output_size_in_bytes - plan.alias_size_in_bytes
  code = plan.generated_code_size_in_bytes
  return {
    "arguments": plan.argument_size_in_bytes,
    "temporaries": plan.temp_size_in_bytes,
    "program": code,
    "peak": plan.argument_size_in_bytes
    + plan.temp_size_in_bytes
    + fresh
    + code,
  }


def sizes(text: str, held: int) -> tuple[float, float] | None:
  """(bytes a program needs, bytes of a chip); None: another error.

  Args:
    text: of the compiler.
    held: bytes on a chip before the program begins.
  """
  match = FULL.search(text) or FULL_ALONE.search(text)
  if not match:
    return None
  unit = {"K": 2**10, "M": 2**20, "G": 2**30}
  used, limit = (float(t[:-1]) * unit[t[-1]] for t in match.groups())
  return used + (held if match.re is FULL_ALONE else 0), limit


def refused(text: str, what: str) -> errors.UserError:
  """The compiler's error, where it is not about memory."""
  return errors.UserError(
    errors.first_line(RuntimeError(text)),
    f"a {what} that this compiler takes",
    "try other hardware.* keys, or report it with the config",
    "hardware",
  )


def too_big(text: str, state: int, parts: assemble.Parts) -> errors.UserError:
  """The compiler's error as ours, with what would help.

  Args:
    text: of the compiler.
    state: bytes of the training state on a chip.
    parts: of the run.
  """
  found = sizes(text, state)
  if not found:
    return refused(text, "step")
  used, limit = found
  free, needed = limit - state, used - state
  lines = [f"the state takes {state / chips.GIB:.2f} GiB of it."]
  if state > limit / 2:
    lines.append("Raise hardware.mesh.fsdp, or set hardware.zero=True.")
  if parts.config.hardware.remat != "full":
    lines.append("Set hardware.remat=dots, then full.")
  if free > 0:
    n = 2 ** int(np.ceil(np.log2(max(1.0, needed / free))))
    lines.append(
      f"optim.accumulate={max(2, n * parts.config.optim.accumulate)} or "
      f"data.batch={parts.batch // max(2, n)} would do alone."
    )
  lines.append("--tune tries them.")
  return TooBig(used, limit, " ".join(lines))
