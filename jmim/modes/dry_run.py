"""--mode=dry_run: does it fit, and how fast can it be, before there are chips.

The real train step (`training.step` through `assemble`) is compiled for a
topology that nobody attached. No data is read: an epoch counts as EXAMPLES
examples, which changes nothing but constants of the learning rate.
"""

import json
import pathlib
import re
import time
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from jmim.core import config as configs
from jmim.core import errors
from jmim.core import files
from jmim.cost import estimate
from jmim.cost import hlo_cost
from jmim.cost import summary
from jmim.data import inputs
from jmim.parallel import chips
from jmim.parallel import sharding
from jmim.runlog import console as consoles
from jmim.session import assemble

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
# What --tune tries, in this order.
TRIED = (
  {},
  {"hardware.zero": True},
  {"hardware.remat": "dots"},
  {"hardware.remat": "full"},
  {"hardware.remat": "full", "hardware.zero": True, "optim.accumulate": 2},
)


class TooBig(errors.UserError):
  """A step that does not fit into the memory of a chip.

  Attributes:
    used: bytes it wants.
    limit: bytes there are.
  """

  def __init__(self, used: float, limit: float, fix: str):
    gib = lambda x: f"{x / chips.GIB:.2f} GiB"
    self.used, self.limit = used, limit
    super().__init__(
      f"a step that wants {gib(used)} of a chip's {gib(limit)}",
      f"{gib(used - limit)} less",
      fix,
      "hardware",
    )


class NoData:
  """Stands for data sets that are not there."""

  num_classes = 1000

  def __len__(self) -> int:
    return EXAMPLES


def run(
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
    found = _tune(config, devices, slices, console)
  else:
    found = measure(config, devices, slices)
    show(console, found)
  if out is not None:
    out.mkdir(parents=True, exist_ok=True)
    files.replace(out / "dry_run.json", json.dumps(found, indent=2) + "\n")
    console.print(f"written: {out / 'dry_run.json'}")
  return found


def batch_shapes(parts: assemble.Parts) -> dict[str, jax.ShapeDtypeStruct]:
  """What the pipeline will put on the devices."""
  where = sharding.batch_sharding(parts.mesh)
  travels = inputs.on_devices(parts.spec, parts.method.inputs())
  return {
    name: jax.ShapeDtypeStruct((parts.batch, *shape), dtype, sharding=where)
    for name, (shape, dtype) in travels.items()
  }


def measure(
  config: ml_collections.ConfigDict, devices: list[Any], slices: int = 1
) -> dict[str, Any]:
  """Compiles the step and returns the report of `cost.estimate`.

  Raises:
    TooBig: it does not fit.
  """
  config = configs.override(config, [f"evals.{n}=None" for n in config.evals])
  stand_in = {"train": NoData(), "eval": NoData()}
  parts = assemble.make(config, devices, stand_in)
  step, batch = assemble.make_step(parts), batch_shapes(parts)
  everywhere = sharding.replicated(parts.mesh)
  on = lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s)
  consts = jax.tree.map(lambda x: on(x, everywhere), parts.consts)
  abstract = jax.eval_shape(step.init, batch, consts)
  where = parts.layout.tree(abstract)
  state = jax.tree.map(on, abstract, where)
  work = step.work(abstract, consts, batch)
  start = time.perf_counter()
  jitted = jax.jit(step, donate_argnums=0, out_shardings=(where, everywhere))
  lowered = jitted.lower(state, consts, batch)
  try:
    compiled, text = compiled_with_text(lowered)
  except jax.errors.JaxRuntimeError as e:
    held = summary.bytes_per_device(abstract, where)
    raise too_big(str(e), held, parts) from e
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
  cost = hlo_cost.cost(text, slices, len(devices))
  found = estimate.report(cost, facts, chips.find(devices[0]))
  return found | {
    "device": devices[0].device_kind,
    "slices": slices,
    "mesh": dict(parts.mesh.shape),
    "method": parts.config.method.to_dict(),
    "hardware": parts.config.hardware.to_dict(),
  }


def compiled_with_text(
  lowered: jax.stages.Lowered,
) -> tuple[jax.stages.Compiled, str]:
  """The compiled program and its text."""
  compiled = lowered.compile()
  try:
    return compiled, compiled.as_text()
  except jax.errors.JaxRuntimeError as e:
    if "async-update" not in str(e):
      raise
  compiled = lowered.compile(compiler_options=READABLE)
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


def too_big(text: str, held: int, parts: assemble.Parts) -> Exception:
  """The compiler's error as ours, with what would help.

  Args:
    text: of the compiler.
    held: bytes of the training state on a chip.
    parts: of the run.
  """
  match = FULL.search(text) or FULL_ALONE.search(text)
  if not match:
    return errors.UserError(
      errors.first_line(RuntimeError(text)),
      "a step that this compiler takes",
      "try other hardware.* keys, or report it with the config",
      "hardware",
    )
  unit = {"K": 2**10, "M": 2**20, "G": 2**30}
  used, limit = (float(t[:-1]) * unit[t[-1]] for t in match.groups())
  used += held if match.re is FULL_ALONE else 0
  free, wanted = limit - held, used - held
  lines = [f"the state takes {held / chips.GIB:.2f} GiB of it."]
  if held > limit / 2:
    lines.append("Raise hardware.mesh.fsdp, or set hardware.zero=True.")
  if parts.config.hardware.remat != "full":
    lines.append("Set hardware.remat=dots, then full.")
  if free > 0:
    n = 2 ** int(np.ceil(np.log2(max(1.0, wanted / free))))
    lines.append(
      f"optim.accumulate={max(2, n * parts.config.optim.accumulate)} or "
      f"data.batch={parts.batch // max(2, n)} would do alone."
    )
  lines.append("--tune tries them.")
  return TooBig(used, limit, " ".join(lines))


def show(console: consoles.Console, found: dict[str, Any]) -> None:
  """Prints the report."""
  axes = " x ".join(f"{k}={v}" for k, v in found["mesh"].items() if v > 1)
  console.print(
    f"{found['method']['type']}: {found['parameters']:,} parameters, batch "
    f"{found['batch']:,} on {found['devices']} {found['device']} ({axes or 1}),"
    f" compiled in {found['compile_seconds']:.0f} s",
    style="bold",
  )
  for header, *rows in estimate.tables(found):
    console.table("", header, rows)


def _tune(config, devices, slices, console) -> dict[str, Any]:
  """The fastest of TRIED that fits; prints a line for each.

  Fast is what the roofline says; where it cannot tell (CPUs), the one that
  needs least memory.
  """
  best, rows, failed = None, [], None
  for changes in TRIED:
    items = [f"{k}={v}" for k, v in changes.items()]
    name = " ".join(i.partition(".")[2] for i in items) or "as it is"
    try:
      found = measure(configs.override(config, items), devices, slices)
    except errors.UserError as e:
      failed = e
      used = f"{e.used / chips.GIB:.2f}" if isinstance(e, TooBig) else ""
      why = "too big" if isinstance(e, TooBig) else f"not with this {e.key}"
      rows.append((name, used, why, "", ""))
      continue
    rows.append(
      (
        name,
        f"{found['memory']['peak'] / chips.GIB:.2f}",
        f"{found['flops']['compiled_over_model']:.2f}",
        f"{found['network']['over_minimum']:.2f}",
        f"{found.get('mfu_bound', 0):.1%}",
      )
    )
    found["tuned"] = items
    if best is None or rank(found) > rank(best):
      best = found
  header = ("tried", "GiB/chip", "FLOPs/model", "sent/min", "MFU bound")
  console.table("tune", header, rows)
  if best is None:
    raise failed
  console.print("best: " + (" ".join(best["tuned"]) or "as it is"))
  return best


def rank(found: dict[str, Any]) -> tuple[float, float]:
  """Faster first, then the smaller."""
  speed = round(found.get("images_per_second", 0.0), -2)
  return speed, -found["memory"]["peak"]
