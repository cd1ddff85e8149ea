"""How long a training step takes, alone or beside PyTorch's.

    python -m jmim.tools.bench_step --config=configs/mae_imagenet.py
    python -m jmim.tools.bench_step --config=configs/mae_imagenet.py \
      --config.data.batch=8 --config.hardware.dtype=f32 --peer

The real step of the config runs on random images (no data is read). --peer
(extra bench; MAE only): transformers' ViTMAEForPreTraining of the same sizes,
batch, precision and optimizer in a process of its own. The two take turns, a
few steps each, and the ratio is taken turn by turn: on a shared machine rates
drift by a factor of two within a minute, which a ratio does not see.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import config as configs
from jmim.core import errors
from jmim.cost import summary
from jmim.parallel import backend
from jmim.session import aot
from jmim.session import assemble


class Side:
  """A process that runs steps when asked to.

  Attributes:
    facts: what it said of itself when it was ready.
  """

  def __init__(self, command: Sequence[str], spec: dict[str, Any]):
    """Starts it; waits until it has compiled.

    Raises:
      UserError: it ended instead.
    """
    # glibc's huge pages, as `malloc.huge_pages` sets them: for both sides.
    env = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", **os.environ}
    self.process = subprocess.Popen(
      [sys.executable, "-m", *command],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
      env=env,
    )
    self.facts = self.ask(spec)

  def ask(self, question: Any) -> dict[str, Any]:
    """Sends a line and returns the answer."""
    try:
      self.process.stdin.write(json.dumps(question) + "\n")
      self.process.stdin.flush()
    except BrokenPipeError:
      pass  # the reason is what it printed
    while line := self.process.stdout.readline():
      if line.startswith("{"):
        return json.loads(line)
    raise errors.UserError(
      f"{self.process.args[2]} ended with {self.process.wait()}",
      "a process that answers",
      "see what it printed above",
      "--peer",
    )

  def close(self) -> None:
    """Ends it."""
    with contextlib.suppress(BrokenPipeError):
      self.process.stdin.close()
    self.process.wait()


class Ours:
  """The step of a config, compiled, on random data."""

  def __init__(self, config: Any):
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
  """Our side: as `bench_peer.main`."""
  spec = json.loads(sys.stdin.readline())
  config = configs.override(configs.load(spec["config"]), spec["overrides"])
  ours = Ours(config)
  print(json.dumps(ours.facts()), flush=True)
  for line in sys.stdin:
    print(json.dumps(ours.run(int(line))), flush=True)


def turns(
  sides: Sequence[Side], steps: int, rounds: int
) -> Iterator[list[dict[str, float]]]:
  """What a step took each side, in turn, round after round.

  A turn begins with a step that is not counted: while the other side ran, a
  virtual machine gave this one's free memory back to its host, and fetching it
  again took longer than the step itself.

  Yields:
    per side "seconds" and "cpu", seconds of processors.
  """
  for _ in range(rounds):
    answers = [_turn(side, steps) for side in sides]
    yield [{k: a[k] / steps for k in ("seconds", "cpu")} for a in answers]


def _turn(side: Side, steps: int) -> dict[str, float]:
  side.ask(1)
  return side.ask(steps)


def measure(flags: argparse.Namespace, overrides: Sequence[str]) -> dict:
  """Measures and prints; returns what was found."""
  spec = {"config": flags.config, "overrides": list(overrides)}
  ours = Side(["jmim.tools.bench_step", "--serve"], spec)
  facts, sides = ours.facts, [ours]
  try:
    if flags.peer:
      if facts["peer"] is None:
        raise errors.UserError(
          f"--peer with {facts['method']}",
          "mim.mae",
          "leave --peer out, or choose a MAE config",
          "--peer",
        )
      sides.append(Side(["jmim.tools.bench_peer"], facts["peer"]))
      peer = sides[1].facts
      print(f"peer: {peer['name']}, {peer['parameters']:,} parameters")
    found = []
    for row in turns(sides, flags.steps, flags.rounds):
      found.append(row)
      ratio = f"   {over(row):.2f} x" if flags.peer else ""
      shown = "  ".join(f"{x['seconds']:8.3f} s" for x in row)
      print(shown + ratio, flush=True)
  finally:
    for side in sides:
      side.close()
  return show(facts, found)


def over(row: Sequence[dict[str, float]], key: str = "seconds") -> float:
  """The peer's time over ours, in one pair."""
  return row[1][key] / row[0][key]


def show(
  facts: dict[str, Any], found: list[list[dict[str, float]]]
) -> dict[str, Any]:
  """Prints medians; returns them."""
  seconds = statistics.median(row[0]["seconds"] for row in found)
  rate = facts["batch"] / seconds
  result = {
    "seconds": seconds,
    "images_per_second": rate,
    "mfu": rate * facts["flops"] / facts["peak"],
  }
  print(
    f"{facts['name']}: {facts['method']}, {facts['parameters']:,} parameters, "
    f"batch {facts['batch']} on {facts['devices']}\n"
    f"  {seconds:.3f} s per step, {rate:.1f} images/s, MFU {result['mfu']:.1%} "
    f"of {facts['peak']:.3g} FLOP/s ({facts['peak_source']})"
  )
  if len(found[0]) > 1:
    ratios = sorted(over(row) for row in found)
    result["ratio"] = statistics.median(ratios)
    result["cpu_ratio"] = statistics.median(over(row, "cpu") for row in found)
    print(
      f"  {result['ratio']:.2f} x the peer's speed (pairs: {ratios[0]:.2f} to "
      f"{ratios[-1]:.2f}); {result['cpu_ratio']:.2f} x in processor time, "
      "which a busy machine changes less"
    )
  return result


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  argv = list(sys.argv[1:] if argv is None else argv)
  start = "--config."
  overrides = [a.removeprefix(start) for a in argv if a.startswith(start)]
  parser = argparse.ArgumentParser(
    prog="python -m jmim.tools.bench_step",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("--config", help="recipe, as for jmim.main")
  parser.add_argument("--peer", action="store_true", help="PyTorch in turn")
  parser.add_argument("--steps", type=int, default=3, help="steps of a turn")
  parser.add_argument("--rounds", type=int, default=7, help="turns of each")
  parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
  flags = parser.parse_args([a for a in argv if not a.startswith(start)])
  try:
    if flags.serve:
      serve()
      return 0
    if not flags.config:
      raise errors.UserError(
        "no --config",
        "a recipe",
        "add --config=configs/mae_digits.py",
        "--config",
      )
    measure(flags, overrides)
  except errors.UserError as e:
    print(f"error:\n{e.screen()}", file=sys.stderr)
    return 2
  return 0


if __name__ == "__main__":
  sys.exit(main())
