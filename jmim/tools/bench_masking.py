"""What hiding patches saves: MaskDiT's training step beside the unmasked one.

    python -m jmim.tools.bench_masking --variant=S/2 --batch=8 --rounds=5

Two steps (loss, gradient, AdamW) of one network on 32 x 32 x 4 latents, with
half of the patches hidden and with none, measured in turn; the median ratio of
neighbours is what counts, so that other work on the machine hits both. FLOPs
are counted from the program by the rule of `cost.flops`; --flops counts only
and needs no memory for the network.
"""

import argparse
import sys
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import discovery
from jmim.core import method as methods
from jmim.core.settings import optim as settings
from jmim.parallel import malloc
from jmim.tools import bench_laps
from jmim.training import optim
from jmim.training import step as steps

SIDE, CHANNELS = 32, 4


def method(
  variant: str, decoder: int, hidden: float, **fields: Any
) -> methods.Method:
  """MaskDiT on latents of 256-pixel images, with labels.

  Args:
    variant: size / patch side.
    decoder: blocks of the decoder.
    hidden: share of the patches hidden.
    **fields: other keys of its section.
  """
  return discovery.make(
    {
      "type": "diffusion.maskdit",
      "dims": {"variant": variant},
      "size": SIDE,
      "channels": CHANNELS,
      "labels": {"classes": 1000},
      "sampling": {"clip": 0.0},
      "decoder_depth": decoder,
      "noised_mask": hidden,
      "noise": {"schedule": "linear"},
      **fields,
    }
  )


def batch_of(n: int) -> dict[str, jax.Array]:
  """Zeros of the shapes it reads."""
  return {
    "image": jnp.zeros((n, SIDE, SIDE, CHANNELS)),
    "label": jnp.zeros(n, jnp.int32),
  }


def make_step(m: methods.Method, batch: dict[str, jax.Array]) -> steps.Step:
  """Its training step, AdamW at the defaults of the config."""
  shapes = jax.eval_shape(m.init, jax.random.key(0), batch)[0]
  constant = lambda step: jnp.float32(1e-4)
  optimizers = {
    "main": optim.make(settings.Optim(), shapes, m.groups(), constant)
  }
  return steps.Step(m, optimizers, lambda key, b: b)


def forward_flops(m: methods.Method) -> int:
  """FLOPs of the loss of one example; shapes are enough."""
  batch = batch_of(1)
  step = make_step(m, batch)
  state = jax.eval_shape(step.init, batch, {})
  return step.work(state, {}, batch).forward


def runner(m: methods.Method, n: int) -> Callable[[], Any]:
  """A function that does one step, and gives all that it computes."""
  batch = batch_of(n)
  step = make_step(m, batch)
  state = jax.jit(step.init)(batch, {})
  compiled = jax.jit(step, donate_argnums=0)

  def run() -> Any:
    nonlocal state
    state, metrics = compiled(state, {}, batch)
    return state, metrics

  return run


def measure(
  pair: Sequence[methods.Method], n: int, rounds: int
) -> bench_laps.Laps:
  """[(seconds unmasked, seconds masked)] of each round of batches of n."""
  return bench_laps.turns([runner(m, n) for m in pair], rounds)


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; prints one line of FLOPs and one of seconds."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--variant", default="S/2")
  parser.add_argument("--decoder", type=int, default=4)
  parser.add_argument("--hidden", type=float, default=0.5)
  parser.add_argument("--batch", type=int, default=8)
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--flops", action="store_true", help="count only")
  args = parser.parse_args(argv)
  pair = [method(args.variant, args.decoder, r) for r in (0.0, args.hidden)]
  whole, part = (forward_flops(m) for m in pair)
  print(
    f"MaskDiT-{args.variant}, decoder {args.decoder}: {whole / 1e9:.1f} GFLOP "
    f"forward per example, {part / 1e9:.1f} with {args.hidden:.0%} hidden: "
    f"ratio {whole / part:.2f}"
  )
  if args.flops:
    return 0
  laps = measure(pair, args.batch, args.rounds)
  whole, part = bench_laps.seconds(laps)
  print(
    f"step of {args.batch}: {whole:.2f} s, {part:.2f} s hidden: "
    f"{bench_laps.told(laps, 0, 1)}"
  )
  return 0


if __name__ == "__main__":
  malloc.huge_pages()
  sys.exit(main())
