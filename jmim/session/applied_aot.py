"""A procedure compiled ahead of time, for devices that are not attached.

Its models may be no more than recipes: shapes are enough.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections

from jmim.core import config as configs
from jmim.core import errors
from jmim.core import method as methods
from jmim.cost import estimate
from jmim.cost import flops
from jmim.data import entries
from jmim.evals.lib import predict
from jmim.parallel import sharding
from jmim.session import aot
from jmim.session import applied
from jmim.session import applying
from jmim.session import given


def shapes(parts: applied.Parts, where: Any) -> dict[str, Any]:
  """Shapes of a batch on the devices; where: its sharding."""
  made = {
    name: jax.ShapeDtypeStruct(
      (parts.config.data.batch, *entry.shape),
      jnp.uint8 if entries.of(name).kind == entries.PIXELS else entry.dtype,
      sharding=where,
    )
    for name, entry in parts.inputs.items()
  }
  made["index"] = jax.ShapeDtypeStruct(
    (parts.config.data.batch,), jnp.int32, sharding=where
  )
  return made


def abstract(weights: methods.Weights, layout: sharding.Layout) -> Any:
  """Shapes of a model's arrays with their shardings."""
  shaped = lambda x, where: jax.ShapeDtypeStruct(
    x.shape, x.dtype, sharding=where
  )
  return jax.tree.map(shaped, weights, layout.tree(weights))


def measure(
  config: ml_collections.ConfigDict, devices: list[Any], slices: int = 1
) -> dict[str, Any]:
  """Compiles what is made of a batch; the report of `cost.estimate`.

  "Model" FLOPs are those of the products of the program, as it is traced.
  Arguments as of `aot.measure`.

  Raises:
    UserError: a mistake in the config, or it does not fit.
  """
  config = configs.override(config, [f"evals.{n}=None" for n in config.evals])
  parts = applied.make(config, given.shapes, devices, data=False)
  work = applying.Work(parts, load=False)
  arguments = _arguments(parts, work)
  weights = jax.tree.leaves(arguments[0])
  start = time.perf_counter()
  where = sharding.replicated(parts.mesh)
  lowered = jax.jit(work.apply, out_shardings=where).lower(*arguments)
  try:
    compiled, text = aot.compile_with_text(lowered)
  except jax.errors.JaxRuntimeError as e:
    raise _too_big(str(e), _held(weights)) from e
  seconds = time.perf_counter() - start
  batch = config.data.batch
  facts = estimate.Facts(
    devices=len(devices),
    hosts=len({d.process_index for d in devices}),
    batch=batch,
    parameters=sum(x.size for x in weights),
    split=parts.mesh.shape["tensor"] * parts.mesh.shape["expert"],
    itemsize=jnp.dtype(parts.procedure.rt.dtype).itemsize,
    model_flops=flops.count(work.apply, *arguments) // batch,
    memory=aot.memory(compiled),
    compile_seconds=seconds,
  )
  return aot.report(facts, text, parts, devices=devices, slices=slices)


def widths(parts: applied.Parts, names: Sequence[str]) -> dict[str, int]:
  """Numbers per example of the results; nothing is compiled or computed.

  Args:
    parts: of the procedure.
    names: of its outputs: "apply".
  """
  work = applying.Work(parts, load=False)
  made, _ = jax.eval_shape(work.apply, *_arguments(parts, work))
  return predict.widths(dict.fromkeys(names, made))


def _arguments(parts: applied.Parts, work: applying.Work) -> tuple[Any, ...]:
  """(weights, fitted, batch, key) of the program, as shapes."""
  everywhere = sharding.replicated(parts.mesh)
  batch = shapes(parts, sharding.batch_sharding(parts.mesh))
  weights = {
    name: abstract(one.weights, parts.layout(one))
    for name, one in parts.given.items()
  }
  key = jax.eval_shape(lambda: jax.random.key(0))
  key = jax.ShapeDtypeStruct(key.shape, key.dtype, sharding=everywhere)
  if not parts.procedure.fits:
    return weights, {}, batch, key
  rows = jax.eval_shape(work.collect, weights, batch, key)
  fitted = parts.procedure.fitted_like(rows)
  return weights, fitted, batch, key


def _too_big(text: str, held: int) -> errors.UserError:
  """The compiler's error as ours; held: bytes of the models on a chip."""
  found = aot.sizes(text, held)
  if not found:
    return aot.refused(text, "program")
  fix = "use a smaller data.batch, or raise hardware.mesh.fsdp"
  return aot.TooBig(*found, fix)


def _held(weights: list[jax.ShapeDtypeStruct]) -> int:
  """Bytes of the models on a chip."""
  part = lambda x: math.prod(x.sharding.shard_shape(x.shape))
  return sum(part(x) * x.dtype.itemsize for x in weights)
