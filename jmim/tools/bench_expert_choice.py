"""Expert choice by gathering rows beside its naive form, one-hot products.

    python -m jmim.tools.bench_expert_choice --tokens=256 --batch=8 --rounds=5

Both compute the same: the naive form, as MicroDiT's code has it, picks the rows
of each expert by a product with [b, e, k, t] ones and zeros, and adds them up
by another, 4 b e k t d FLOPs more. Forward and backward pass of one layer of
XL/2 (width 1024, 8 experts of capacity 2) are measured in turn; the median
ratio of neighbours is what counts, so that other work on the machine hits both.
"""

import argparse
import sys
from collections.abc import Callable
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jmim.cost import flops
from jmim.nn import expert_choice
from jmim.nn import recompute
from jmim.parallel import malloc
from jmim.tools import bench_laps

Layer = Callable[[dict, jax.Array], jax.Array]


def layers(module: expert_choice.ExpertChoice) -> tuple[Layer, Layer]:
  """(by gathering, by one-hot products), functions of (parameters, x)."""

  def gathered(params, x):
    return module.apply({"params": params}, x)[0]

  def naive(params, x):
    up, down = (params["experts"][n]["kernel"] for n in ("up", "down"))
    logits = x @ params["router"]["kernel"]
    places = (x.shape[1], module.experts, module.capacity)
    choice = expert_choice.choose(logits, expert_choice.places(*places))
    hot = jax.nn.one_hot(choice.chosen, x.shape[1], dtype=x.dtype)
    rows = jnp.einsum("bekt,btd->bekd", hot, x)
    hidden = recompute.gelu(jnp.einsum("bekd,edf->bekf", rows, up))
    rows = jnp.einsum("bekf,efd->bekd", hidden, down)
    rows = rows * choice.weights[..., None]
    return jnp.einsum("bekt,bekd->btd", hot, rows)

  return gathered, naive


def gradient(layer: Layer) -> Callable[..., jax.Array]:
  """(parameters, x) -> gradients of the mean square of what it gives."""
  loss = lambda params, x: (layer(params, x) ** 2).mean()
  return jax.grad(loss, argnums=(0, 1))


def measure(
  module: expert_choice.ExpertChoice, x: jax.Array, rounds: int
) -> bench_laps.Laps:
  """[(seconds gathered, seconds naive)] of each round."""
  params = jax.jit(module.init)(jax.random.key(0), x)["params"]
  both = [jax.jit(gradient(layer)) for layer in layers(module)]
  return bench_laps.turns([lambda f=f: f(params, x) for f in both], rounds)


def work(
  module: expert_choice.ExpertChoice, x: jax.ShapeDtypeStruct
) -> tuple[int, int]:
  """FLOPs of the forward pass of both; shapes are enough."""
  params = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
  one, other = (flops.count(layer, params, x) for layer in layers(module))
  return one, other


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; prints one line of FLOPs and one of seconds."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--width", type=int, default=1024)
  parser.add_argument("--hidden", type=int, default=2304)
  parser.add_argument("--experts", type=int, default=8)
  parser.add_argument("--capacity", type=float, default=2.0)
  parser.add_argument("--tokens", type=int, default=256)
  parser.add_argument("--batch", type=int, default=8)
  parser.add_argument("--rounds", type=int, default=5)
  args = parser.parse_args(argv)
  module = expert_choice.ExpertChoice(
    experts=args.experts, capacity=args.capacity, hidden=args.hidden
  )
  shape = (args.batch, args.tokens, args.width)
  one, other = work(module, jax.ShapeDtypeStruct(shape, jnp.float32))
  print(
    f"{args.experts} experts of {args.hidden}, {shape}: {one / 1e9:.1f} GFLOP "
    f"forward, {other / 1e9:.1f} naive: ratio {other / one:.2f}"
  )
  x = jax.random.normal(jax.random.key(1), shape)
  laps = measure(module, x, args.rounds)
  ours, naive = bench_laps.seconds(laps)
  print(
    f"forward and backward: {ours:.3f} s, {naive:.3f} s naive: "
    f"{bench_laps.told(laps, 1, 0)}"
  )
  return 0


if __name__ == "__main__":
  malloc.huge_pages()
  sys.exit(main())
