"""Our side of `bench_step`: the step of a recipe on random images.

It reads one JSON line, the recipe and its overrides, and then answers each
line with a number of steps by the seconds they took, as `bench_peer` does.
"""

import json
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from jmim.core import config as configs
from jmim.core import errors
from jmim.cost import summary
from jmim.parallel import backend
from jmim.session import aot
from jmim.session import assemble
from jmim.tools import cli


class Ours:
  """The step of a config, compiled, on random data."""

  def __init__(self, config: ml_collections.ConfigDict):
    """Compiles; raises UserError as `assemble.make`."""
    backend.keep_compiled(config.hardware.compile_cache)
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
    self.step = program.lower(self.state).compile()
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

  def facts(self) -> dict[str, Any]:
    """What the other process must know."""
    peak, source = summary.peak(self.parts.mesh)
    device = jax.devices()[0].device_kind
    return {
      "name": f"jmim, jax {jax.__version__}",
      "parameters": self.parameters,
      "batch": self.parts.batch,
      "flops": self.flops,
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


def peer_spec(parts: assemble.Parts) -> dict[str, Any] | None:
  """What `bench_peer` must build; None where it cannot."""
  config, method = parts.config, parts.method
  if config.method.type != "mim.mae":
    return None
  encoder, decoder = method.dims.size, method.decoder.size
  optimizer = config.optim
  return {
    "width": encoder.width,
    "depth": encoder.depth,
    "heads": encoder.heads,
    "hidden": int(encoder.width * encoder.mlp_ratio),
    "size": method.size,
    "patch": method.dims.patch,
    "channels": method.channels,
    "decoder_width": decoder.width,
    "decoder_depth": decoder.depth,
    "decoder_heads": decoder.heads,
    "decoder_hidden": int(decoder.width * decoder.mlp_ratio),
    "mask_ratio": method.mask_ratio,
    "norm_pix": method.norm_pix,
    "batch": parts.batch,
    "dtype": jnp.dtype(method.rt.dtype).name,
    "lr": 1e-4,
    "betas": (optimizer.b1, optimizer.b2),
    "weight_decay": optimizer.weight_decay,
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
    print(json.dumps(ours.run(int(line))), flush=True)


if __name__ == "__main__":
  sys.exit(cli.run(serve))
