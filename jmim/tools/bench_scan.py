"""What computing the selective scan in chunks costs and saves.

    python -m jmim.tools.bench_scan --tokens=1600 --width=16 --rounds=5

Gradients of `nn.ssm.selective_scan` beside those of its naive form, one step
after the other (`nn.ssm.sequential_scan`, which keeps every state for the
backward pass), and beside one associative scan of all steps. Measured in turn;
the median ratio of neighbours is what counts, so that other work on the
machine hits all. Beside it the temporary memory of the compiled programs,
which is no measurement.
"""

import argparse
import functools
import sys
from collections.abc import Callable
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jmim.nn import ssm
from jmim.parallel import malloc
from jmim.tools import bench_laps

NAMES = ("chunks", "step by step", "all at once")


def inputs(
  batch: int, tokens: int, width: int, states: int
) -> tuple[jax.Array, ...]:
  """Random x, dt [b, t, d], a [d, n], b and c [b, t, n].

  Args:
    batch: b.
    tokens: t.
    width: d.
    states: n.
  """
  keys = jax.random.split(jax.random.key(0), 5)
  normal = lambda key, *shape: jax.random.normal(key, shape)
  wide, narrow = (batch, tokens, width), (batch, tokens, states)
  return (
    normal(keys[0], *wide),
    jax.nn.softplus(normal(keys[1], *wide) - 3),
    -jnp.exp(normal(keys[2], width, states)),
    normal(keys[3], *narrow),
    normal(keys[4], *narrow),
  )


def programs(
  arrays: Sequence[jax.Array], chunk: int
) -> dict[str, jax.stages.Compiled]:
  """Name -> the compiled gradient of a sum of squares.

  Args:
    arrays: as from `inputs`.
    chunk: steps of a chunk of the first; 0: as `ssm.chunk_of` has it.
  """
  whole = arrays[0].shape[1]
  scans = (
    functools.partial(ssm.selective_scan, chunk=chunk),
    ssm.sequential_scan,
    functools.partial(ssm.selective_scan, chunk=whole),
  )
  made = {}
  for name, scan in zip(NAMES, scans, strict=True):

    def loss(x, dt, a, b, c, scan=scan):
      return (scan(x, dt, a, b=b, c=c) ** 2).sum()

    grad = jax.jit(jax.grad(loss, argnums=tuple(range(5))))
    made[name] = grad.lower(*arrays).compile()
  return made


def measure(
  made: dict[str, Callable], arrays: Sequence[jax.Array], rounds: int
) -> bench_laps.Laps:
  """Seconds of each program in each round.

  Args:
    made: the programs.
    arrays: what they read.
    rounds: how often all take a turn.
  """
  each = [functools.partial(program, *arrays) for program in made.values()]
  return bench_laps.turns(each, rounds)


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; prints a line per program."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--batch", type=int, default=16)
  parser.add_argument("--tokens", type=int, default=1600)
  parser.add_argument("--width", type=int, default=16)
  parser.add_argument("--states", type=int, default=16)
  parser.add_argument("--chunk", type=int, default=0)
  parser.add_argument("--rounds", type=int, default=5)
  args = parser.parse_args(argv)
  arrays = inputs(args.batch, args.tokens, args.width, args.states)
  made = programs(arrays, args.chunk)
  laps = measure(made, arrays, args.rounds)
  print(f"{args.batch} x {args.tokens} steps, {args.width} x {args.states}:")
  each = zip(made.items(), bench_laps.seconds(laps), strict=True)
  for i, ((name, program), seconds) in enumerate(each):
    ratio = bench_laps.ratio(laps, i, 0)
    found = program.memory_analysis()
    memory = f", {found.temp_size_in_bytes / 2**20:.0f} MiB" if found else ""
    print(f"{name:12s} {1e3 * seconds:8.1f} ms  {ratio:.2f} x{memory}")
  return 0


if __name__ == "__main__":
  malloc.huge_pages()
  sys.exit(main())
