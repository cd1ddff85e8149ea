"""Spectral norm: kernels divided by their largest singular value.

Miyato et al. 2018, as torch's `spectral_norm`. Of a kernel W [.., c, d] seen as
a matrix [n, d], n = all axes but the last,

    v <- W u / |W u|,   u <- W^T v / |W^T v|       `iterate`, once per step
    W / (v^T W u)       u and v constants          `normalise`

u [d] and v [.., c] are state, not parameters: a method keeps them in `extra`,
iterates once the player whose kernels they are has been updated (`after`: what
torch does as the next call begins), and computes with what is stored. The state
is a tree like that of the parameters, with {"u", "v"} in place of each kernel
that is normalised; what it does not name stays as it is. Networks know nothing
of it.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import tree as trees

Tree = Any
EPS = 1e-12


def start(
  key: jax.Array, params: Tree, chosen: Callable[[str], bool] = lambda _: True
) -> Tree:
  """Random directions, moved by one iteration.

  Args:
    key: random key.
    params: nested dicts with leaves `kernel` [.., c, d] among them.
    chosen: whether the kernel of a name ("head0/conv/kernel") is normalised.
  """
  made = {}
  for i, (name, leaf) in enumerate(trees.named(params).items()):
    if name.split("/")[-1] == "kernel" and chosen(name):
      u = jax.random.normal(jax.random.fold_in(key, i), leaf.shape[-1:])
      made |= {f"{name}/u": _unit(u), f"{name}/v": jnp.zeros(leaf.shape[:-1])}
  return iterate(params, trees.nested(made))


def iterate(params: Tree, state: Tree) -> Tree:
  """The state after one power iteration, a constant to gradients."""
  made = {}
  for name, (kernel, u, _) in _kernels(params, state).items():
    v = _unit(jnp.einsum("...d,d->...", kernel, u))
    u = _unit(jnp.einsum("...d,...->d", kernel, v))
    made |= {f"{name}/u": u, f"{name}/v": v}
  return jax.lax.stop_gradient(trees.nested(made))


def normalise(params: Tree, state: Tree) -> Tree:
  """Parameters with each kernel of the state over its v^T W u."""
  arrays = trees.named(params)
  for name, (kernel, u, v) in _kernels(params, state).items():
    u, v = jax.lax.stop_gradient((u, v))
    sigma = jnp.einsum("...d,d,...->", kernel, u, v)
    arrays[name] = (kernel / sigma).astype(arrays[name].dtype)
  return trees.nested(arrays)


def _kernels(params, state):
  """Name -> (kernel, u, v) float32 of all that is normalised."""
  arrays, known = trees.named(params), trees.named(state)
  names = [name.removesuffix("/u") for name in known if name.endswith("/u")]
  return {
    name: (
      arrays[name].astype(jnp.float32),
      known[f"{name}/u"],
      known[f"{name}/v"],
    )
    for name in names
  }


def _unit(x):
  return x / jnp.maximum(jnp.linalg.norm(x.ravel()), EPS)
