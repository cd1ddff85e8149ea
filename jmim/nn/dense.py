"""Products of tokens and a kernel."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
from jax import lax

from jmim.core import runtime


def flat_dot_general(
  x: jax.Array,
  kernel: jax.Array,
  dimension_numbers: Any,
  **kw: Any,
) -> jax.Array:
  """`lax.dot_general` of [..., c] and [c, d], computed as [n, c] and [c, d].

  The gradient of the kernel then contracts one dimension. With two (batch and
  tokens) XLA's CPU compiler copies the gradient of the output into another
  order first, and computes all that leads to it (a LayerNorm's backward pass)
  once more while it does: a sixth of a step of MAE B/16.

  Args:
    x: [..., c].
    kernel: [c, d].
    dimension_numbers: as nn.Dense gives them: last of x with first of kernel.
    **kw: of `lax.dot_general`.

  Returns:
    [..., d].
  """
  assert dimension_numbers == (((x.ndim - 1,), (0,)), ((), ()))
  flat = x.reshape(-1, x.shape[-1])
  y = lax.dot_general(flat, kernel, (((1,), (0,)), ((), ())), **kw)
  return y.reshape(*x.shape[:-1], kernel.shape[-1])


def product(rt: runtime.Runtime, x: jax.Array, kernel: jax.Array) -> jax.Array:
  """[..., c] times [c, d] -> [..., d]."""
  dot = flattened(rt) or lax.dot_general
  return dot(x, kernel, (((x.ndim - 1,), (0,)), ((), ())))


def dense(rt: runtime.Runtime, features: int, **kw: Any) -> nn.Dense:
  """nn.Dense in the dtype of `rt`, flattened where `rt` says so."""
  dot = flattened(rt)
  how = {"dot_general": dot} if dot else {}
  return nn.Dense(features, dtype=rt.dtype, **how, **kw)


def flattened(rt: runtime.Runtime) -> Callable[..., jax.Array] | None:
  """What stands for `lax.dot_general` under `rt.flat`; None: nothing does."""
  return {"none": None, "all": flat_dot_general}[rt.flat]
