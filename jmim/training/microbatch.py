"""A batch and its draws in parts, and what of the draws is per example."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Tree = Any


def split(tree: Tree, n: int, shared: tuple[str, ...] = ()) -> list:
  """Splits the leaves of a dict into n equal parts along dimension 0.

  Example i goes to part i % n, so that a part of a batch sharded over
  devices is made of a part of every shard and nothing has to move. What
  `shared` names is handed to every part.
  """

  def part(i):
    return lambda x: x.reshape(len(x) // n, n, *x.shape[1:])[:, i]

  return [
    {
      name: value if name in shared else jax.tree.map(part(i), value)
      for name, value in tree.items()
    }
    for i in range(n)
  ]


def check(draws: Tree, batch: int, shared: tuple[str, ...]) -> None:
  """Raises ValueError for a draw that is neither per example nor declared."""
  for name, value in draws.items():
    for leaf in jax.tree.leaves(value) if name not in shared else ():
      if not jnp.ndim(leaf) or len(leaf) != batch:
        raise ValueError(
          f"draw {name!r} has shape {jnp.shape(leaf)} with a batch of {batch}: "
          "name it in `shared` if it is not per example"
        )


def averaged(
  compute: Callable[..., Tree], n: int, shared: tuple[str, ...]
) -> Callable[..., Tree]:
  """`compute` of n parts of its batch, one after the other, and their mean.

  Args:
    compute: (x, batch, draws) -> a tree of arrays.
    n: parts.
    shared: names of draws that are not per example.
  """

  def mean(x, batch, draws):
    drawn = split(draws, n, shared)
    parts = list(zip(split(batch, n), drawn, strict=True))
    # Stacked so that a scan holds the memory of one part only.
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *parts)
    first = jax.eval_shape(compute, x, *parts[0])
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), first)

    def add(total, part):
      return jax.tree.map(jnp.add, total, compute(x, *part)), None

    total, _ = jax.lax.scan(add, zeros, stacked)
    return jax.tree.map(lambda x: x / n, total)

  return mean
