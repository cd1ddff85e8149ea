"""How long a training step takes, alone or beside PyTorch's.

    python -m jmim.tools.bench_step --config=configs/mae_imagenet.py
    python -m jmim.tools.bench_step --config=configs/mae_imagenet.py \
      --config.data.batch=8 --config.hardware.dtype=f32 --peer

The real step of the config runs on random images (no data is read). --peer
(extra bench; MAE and DiT): transformers' ViTMAEForPreTraining, or diffusers'
DiTTransformer2DModel, of the same sizes, batch, precision and optimizer in a
process of its own. The two take turns, a few steps each, and the ratio is taken
turn by turn: on a shared machine rates drift by a factor of two within a
minute, which a ratio does not see.

--profile traces a few steps more and prints what took their time: kinds of
work and shapes of products, with GFLOP/s and GB/s beside what the device can
do; where processors are shared, read shares, not rates.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from typing import Any

from jmim.core import errors
from jmim.runlog import console as consoles
from jmim.tools import bench_kinds
from jmim.tools import bench_sides as sides
from jmim.tools import cli


def measure(
  flags: argparse.Namespace, overrides: Sequence[str]
) -> dict[str, float]:
  """Measures and prints; returns what `show` does.

  Raises:
    UserError: a side cannot run, or there is no peer for this method.
  """
  spec = {"config": flags.config, "overrides": list(overrides)}
  ours = sides.Side(sides.OURS, spec)
  facts, both = ours.facts, [ours]
  try:
    if flags.peer:
      if facts["peer"] is None:
        raise errors.UserError(
          f"--peer with {facts['method']}",
          "mim.mae or diffusion.dit",
          "leave --peer out, or choose such a recipe",
          "--peer",
        )
      both.append(sides.Side(sides.PEER, facts["peer"]))
      peer = both[1].facts
      print(f"peer: {peer['name']}, {peer['parameters']:,} parameters")
    rows = []
    for row in sides.turns(both, flags.steps, flags.rounds):
      rows.append(row)
      ratio = f"   {sides.over(row):.2f} x" if flags.peer else ""
      shown = "  ".join(f"{x['seconds']:8.3f} s" for x in row)
      print(shown + ratio, flush=True)
    asked = both if flags.profile else []
    told = [side.ask({"profile": flags.steps}) for side in asked]
  finally:
    for side in both:
      side.close()
  result = show(facts, rows)
  for one in told:
    bench_kinds.show(one, told[0], facts["peak"], consoles.Console())
  return result


def show(
  facts: dict[str, Any], rows: Sequence[Sequence[sides.Lap]]
) -> dict[str, float]:
  """Prints medians; returns them.

  Args:
    facts: of our side.
    rows: the laps of each round, ours first.

  Returns:
    seconds, images_per_second, mfu; with a peer ratio and cpu_ratio too.
  """
  seconds = statistics.median(row[0]["seconds"] for row in rows)
  result = sides.figures(facts, seconds)
  print(
    f"{facts['name']}: {facts['method']}, {facts['parameters']:,} parameters, "
    f"batch {facts['batch']} on {facts['devices']}\n"
    f"  {seconds:.3f} s per step, {result['images_per_second']:.1f} images/s, "
    f"MFU {result['mfu']:.1%} of {facts['peak']:.3g} FLOP/s "
    f"({facts['peak_source']})"
  )
  if len(rows[0]) > 1:
    ratios = sorted(sides.over(row) for row in rows)
    result["ratio"] = statistics.median(ratios)
    busy = [sides.over(row, "cpu") for row in rows]
    result["cpu_ratio"] = statistics.median(busy)
    print(
      f"  {result['ratio']:.2f} x the peer's speed (pairs: {ratios[0]:.2f} to "
      f"{ratios[-1]:.2f}); {result['cpu_ratio']:.2f} x in processor time, "
      "which a busy machine changes less"
    )
  return result


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  argv, overrides = cli.overrides(sys.argv[1:] if argv is None else argv)
  parser = argparse.ArgumentParser(
    prog="python -m jmim.tools.bench_step",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("--config", help="recipe, as for jmim.main")
  parser.add_argument("--peer", action="store_true", help="PyTorch in turn")
  parser.add_argument("--profile", action="store_true", help="kinds of work")
  parser.add_argument("--steps", type=int, default=3, help="steps of a turn")
  parser.add_argument("--rounds", type=int, default=7, help="turns of each")
  flags = parser.parse_args(argv)

  def run() -> None:
    if not flags.config:
      raise errors.UserError(
        "no --config",
        "a recipe",
        "add --config=configs/mae_digits.py",
        "--config",
      )
    measure(flags, overrides)

  return cli.run(run)


if __name__ == "__main__":
  sys.exit(main())
