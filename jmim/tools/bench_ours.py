"""Our side of `bench_step`: the step of a recipe on random images.

It reads one JSON line, the recipe and its overrides, and then answers each
line with a number of steps by the seconds they took, as `bench_peer` does, and
{"profile": steps} by what took them.
"""

import dataclasses
import json
import pathlib
import resource
import sys
import tempfile
import time
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from jmim.core import config as configs
from jmim.core import errors
from jmim.cost import kinds
from jmim.cost import profile
from jmim.cost import summary
from jmim.parallel import backend
from jmim.parallel import hosts
from jmim.runlog import console as consoles
from jmim.session import aot
from jmim.session import assemble
from jmim.session import tuning
from jmim.tools import cli


class Ours:
  """The step of a config, compiled, on random data."""

  def __init__(self, config: ml_collections.ConfigDict):
    """Compiles; raises UserError as `assemble.make`."""
    backend.keep_compiled(config.hardware.compile_cache)
    quiet = consoles.Console(quiet=True)  # lines are answers here
    config = tuning.tuned(config, hosts.Group(), quiet)
    self.parts, program = aot.make_program(config)
    parts = self.parts
    if parts.consts:
      raise errors.UserError(
        f"{config.method.type} reads {', '.join(parts.consts)}",
        "a method without frozen networks",
        "choose another",
        "method.type",
      )
    self.batch = jax.tree.map(_random, program.batch)
    self.state = program.init(self.batch)
    self.step = program.compile(self.state)
    self.flops = (program.work() // parts.batch).step
    shapes = jax.tree.leaves(program.abstract.params)
    self.parameters = sum(x.size for x in shapes)

  def run(self, steps: int) -> dict[str, float]:
    """Wall and processor seconds of some steps, and the last loss."""
    start, busy = time.perf_counter(), time.process_time()
    for _ in range(steps):
      self.state, metrics = self.step(self.state, {}, self.batch)
    jax.block_until_ready(self.state)
    losses = [v for k, v in metrics.items() if k.split("/")[0] == "loss"]
    return {
      "seconds": time.perf_counter() - start,
      "cpu": time.process_time() - busy,
      "loss": float(sum(losses)),
    }

  def profile(self, steps: int) -> dict[str, Any]:
    """What took the time of some steps, each figure per step and device.

    Returns:
      seconds; kinds and shapes, rows of `cost.kinds`; faults, pages that the
      system had to fetch; bandwidth [bytes/s] of a large sum on this device.
    """
    faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    with tempfile.TemporaryDirectory() as folder:
      traced = profile.Profile(range(1, steps + 1), pathlib.Path(folder))
      traced.before(1, self.state)
      before = faults()
      try:
        took = self.run(steps)
        fetched = faults() - before
        path = traced.end(self.state)
      finally:
        traced.close()
      planes = jax.profiler.ProfileData.from_file(str(path)).planes
      spent = profile.times(planes)
    # A trace has the operations of all devices.
    runs = steps * self.parts.mesh.size
    found = kinds.rows(self.step.as_text(), spent, runs)
    by_kind, by_shape = ([dataclasses.asdict(r) for r in x] for x in found)
    return {
      "seconds": took["seconds"] / steps,
      "kinds": by_kind,
      "shapes": by_shape,
      "faults": fetched / steps,
      "bandwidth": bandwidth(),
    }

  def facts(self) -> dict[str, Any]:
    """What the other process must know."""
    peak, source = summary.peak(self.parts.mesh)
    memory = self.step.memory_analysis()
    held = memory.argument_size_in_bytes + memory.temp_size_in_bytes
    device = jax.devices()[0].device_kind
    return {
      "name": f"jmim, jax {jax.__version__}",
      "parameters": self.parameters,
      "batch": self.parts.batch,
      "flops": self.flops,
      "memory": held,
      "peak": peak,
      "peak_source": source,
      "devices": f"{self.parts.mesh.size} {device}",
      "method": self.parts.config.method.type,
      "peer": peer_spec(self.parts),
    }


def _random(shape: jax.ShapeDtypeStruct) -> jax.Array:
  """An array with that shape, dtype and sharding."""
  rng = np.random.default_rng(0)
  if jnp.issubdtype(shape.dtype, jnp.integer):
    high = 256 if shape.dtype == np.uint8 else 2
    values = rng.integers(0, high, shape.shape).astype(shape.dtype)
  else:
    values = rng.random(shape.shape).astype(shape.dtype)
  return jax.device_put(values, shape.sharding)


def bandwidth(size: int = 1 << 28, repeats: int = 5) -> float:
  """Bytes per second that x + 1 of `size` bytes reads and writes, the best."""
  x = jnp.zeros(size // 4, jnp.float32)
  add = jax.jit(lambda x: x + 1, donate_argnums=0)
  times = []
  for _ in range(1 + repeats):  # the first compiles
    start = time.perf_counter()
    x = jax.block_until_ready(add(x))
    times.append(time.perf_counter() - start)
  return 2 * size / min(times[1:])


def peer_spec(parts: assemble.Parts) -> dict[str, Any] | None:
  """What `bench_peer` must build; None where it cannot."""
  config, method = parts.config, parts.method
  special = {"mim.mae": _mae, "diffusion.dit": _dit}.get(config.method.type)
  if special is None:
    return None
  encoder, optimizer = method.dims.size, config.optim
  return special(method) | {
    "width": encoder.width,
    "depth": encoder.depth,
    "heads": encoder.heads,
    "size": method.size,
    "patch": method.dims.patch,
    "channels": method.channels,
    "batch": parts.batch,
    "dtype": jnp.dtype(method.rt.dtype).name,
    "lr": 1e-4,
    "betas": (optimizer.b1, optimizer.b2),
    "weight_decay": optimizer.weight_decay,
  }


def _mae(method: Any) -> dict[str, Any]:
  """What only a MAE has."""
  hidden = lambda size: int(size.width * size.mlp_ratio)
  decoder = method.decoder.size
  return {
    "model": "mae",
    "hidden": hidden(method.dims.size),
    "decoder_width": decoder.width,
    "decoder_depth": decoder.depth,
    "decoder_heads": decoder.heads,
    "decoder_hidden": hidden(decoder),
    "mask_ratio": method.mask_ratio,
    "norm_pix": method.norm_pix,
  }


def _dit(method: Any) -> dict[str, Any]:
  """What only a DiT has."""
  return {
    "model": "dit",
    "classes": method.labels.classes,
    "out": method.channels * method.noise.outputs,
  }


def serve() -> None:
  """Serves one `bench_step`.

  Raises:
    UserError: the recipe is wrong.
  """
  spec = json.loads(sys.stdin.readline())
  config = configs.override(configs.load(spec["config"]), spec["overrides"])
  ours = Ours(config)
  print(json.dumps(ours.facts()), flush=True)
  for line in sys.stdin:
    asked = json.loads(line)
    traced = isinstance(asked, dict)
    answer = ours.profile(asked["profile"]) if traced else ours.run(asked)
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
  sys.exit(cli.run(serve))
