"""A batch and its draws in parts, and what of the draws is per example."""

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
