"""What a GPU makes of MAE L/16 and DiT-XL/2, beside compiled PyTorch.

    python -m jmim.tools.bench_gpu [--minutes=8] [--out=gpu.json]

In bfloat16, for each model: the largest of some batches that fits; a step with
XLA's attention and with cuDNN's, unrolled and scanned; the fastest beside the
same model of Transformers or Diffusers, by `torch.compile` (extra bench). The
two take turns in processes of their own, each with the memory it asks for. What
the time does not suffice for is left out, and said.

On other devices it runs as well (--config and --batches choose something
small): cuDNN is then left out.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from jmim.core import config as configs
from jmim.core import errors
from jmim.core import validate
from jmim.runlog import console as consoles
from jmim.tools import bench_sides as sides
from jmim.tools import cli

RECIPES = (
  "configs/mae_imagenet.py:variant=L/16",
  "configs/dit_imagenet256.py",
)
BATCHES = (512, 256, 128, 64, 32)
WAYS = (
  ("xla, unrolled", ("attention=xla", "scan=off")),
  ("cudnn, unrolled", ("attention=cudnn", "scan=off")),
  ("xla, scanned", ("attention=xla", "scan=on")),
)
STEPS, ROUNDS = 5, 5


def opened(recipe: str, items: Sequence[str], batch: int) -> sides.Side | None:
  """Our side; None where this batch does not fit, or the way is not there."""
  overrides = [f"data.batch={batch}", *items]
  try:
    return sides.Side(sides.OURS, {"config": recipe, "overrides": overrides})
  except errors.UserError:
    return None


def timed(side: sides.Side) -> float | None:
  """Seconds of a step, the median of turns; None if memory ran out."""
  try:
    rows = list(sides.turns([side], STEPS, ROUNDS))
  except errors.UserError:
    return None
  return statistics.median(row[0]["seconds"] for row in rows)


def measure(
  recipe: str, batches: Sequence[int], items: Sequence[str], end: float
) -> dict[str, Any]:
  """The figures of one model.

  Args:
    recipe: its recipe.
    batches: to try, the largest first.
    items: "key=value", for all.
    end: of time.monotonic(), after which nothing is begun.

  Returns:
    batch, parameters, memory [bytes], ways: name -> seconds and MFU, peer:
    ratio of times or why there is none, skipped: names.
  """
  found: dict[str, Any] = {"recipe": recipe, "ways": {}, "skipped": []}
  for batch in batches:
    if time.monotonic() >= end:
      found["skipped"].append(f"batch {batch}")
      continue
    ways = {}
    for name, hardware in WAYS:
      if time.monotonic() >= end:
        found["skipped"].append(name)
        continue
      chosen = [*items, *(f"hardware.{x}" for x in hardware)]
      side = opened(recipe, chosen, batch)
      seconds = timed(side) if side else None
      if side:
        side.close()
      if seconds is None and name == WAYS[0][0]:
        break  # this batch does not fit
      if seconds is not None:
        ways[name] = _figures(side.facts, seconds) | {"items": chosen}
    if ways:
      found |= {"batch": batch, "ways": ways}
      best = min(ways.values(), key=lambda way: way["seconds"])
      found["peer"] = beside(recipe, best["items"], batch, end)
      return found
  return found


def _figures(facts: dict[str, Any], seconds: float) -> dict[str, Any]:
  told = {n: facts[n] for n in ("memory", "parameters", "devices")}
  return sides.figures(facts, seconds) | told


def beside(
  recipe: str, items: Sequence[str], batch: int, end: float
) -> dict[str, Any]:
  """Both sides in turn: ratio of times, pair by pair; or why not."""
  if time.monotonic() >= end:
    return {"skipped": "no time left"}
  both = [opened(recipe, items, batch)]
  try:
    both.append(sides.Side(sides.PEER, both[0].facts["peer"]))
    rows = list(sides.turns(both, STEPS, ROUNDS))
  except errors.UserError as e:
    return {"skipped": e.seen}
  finally:
    for side in both:
      side.close()
  ratios = sorted(sides.over(row) for row in rows)
  return {
    "name": both[1].facts["name"],
    "ratio": statistics.median(ratios),
    "pairs": ratios,
    "seconds": statistics.median(row[1]["seconds"] for row in rows),
  }


def show(found: Sequence[dict[str, Any]], console: consoles.Console) -> None:
  """Prints a table per model."""
  for one in found:
    rows = [
      (
        name,
        f"{1e3 * way['seconds']:.1f}",
        f"{way['images_per_second']:,.0f}",
        f"{way['mfu']:.1%}",
        consoles.size(way["memory"]),
      )
      for name, way in one["ways"].items()
    ]
    title = f"{one['recipe']}, batch {one.get('batch', 'none fits')}"
    head = ("way", "ms", "images/s", "MFU", "memory planned")
    console.table(title, head, rows)
    for name in one["skipped"]:
      console.print(f"{name}: no time left")
    peer = one.get("peer", {})
    if "ratio" in peer:
      low, *_, high = peer["pairs"]
      console.print(
        f"{peer['ratio']:.2f} x the speed of {peer['name']} (pairs: {low:.2f} "
        f"to {high:.2f}; {1e3 * peer['seconds']:.1f} ms)"
      )
    elif peer:
      console.print(f"no peer: {peer['skipped']}")


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  argv, overrides = cli.overrides(sys.argv[1:] if argv is None else argv)
  parser = argparse.ArgumentParser(
    prog="python -m jmim.tools.bench_gpu",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("--config", action="append", help="in place of the two")
  parser.add_argument("--batches", default=",".join(map(str, BATCHES)))
  parser.add_argument("--minutes", type=float, default=8.0, help="in all")
  parser.add_argument("--out", help="file of all figures, JSON")
  flags = parser.parse_args(argv)

  def run() -> None:
    # Two frameworks on one device: neither may take its memory in advance.
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    end = time.monotonic() + 60 * flags.minutes
    recipes = flags.config or RECIPES
    for recipe in recipes:  # a mistake in one is not a batch that does not fit
      validate.validate(configs.override(configs.load(recipe), overrides))
    batches = [int(x) for x in flags.batches.split(",")]
    found = [measure(recipe, batches, overrides, end) for recipe in recipes]
    show(found, consoles.Console())
    if flags.out:
      text = json.dumps(found, indent=2) + "\n"
      pathlib.Path(flags.out).write_text(text, encoding="utf-8")

  return cli.run(run)


if __name__ == "__main__":
  sys.exit(main())
