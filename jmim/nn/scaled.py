"""Scales on what linear maps give: y = gamma (x W + b), channel by channel.

The parameter `gamma` lies beside `kernel` and `bias` in the tree that a network
is applied to; networks need not know of it:

    with scaled.outputs():
      net.apply({"params": params}, ...)

The gradient of gamma is sum_tokens dy * (x W + b), and none of W is formed for
it. `folded` is the same network without scales:

    W <- W diag(gamma),  b <- gamma b
"""

import contextlib
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import einops
import flax.linen as nn
import jax

from jmim.nn import qkv

NAME = "gamma"


def outputs() -> contextlib.AbstractContextManager[None]:
  """Within it `nn.Dense` and `qkv.Qkv` that have a gamma apply it."""
  return nn.intercept_methods(_scale)


def _scale(
  inner: Callable[..., Any], args: Any, kwargs: Any, context: Any
) -> Any:
  """The method of a module, its result scaled if that is one with a gamma."""
  y, module = inner(*args, **kwargs), context.module
  linear = isinstance(module, nn.Dense | qkv.Qkv)
  if not linear or context.method_name != "__call__":
    return y
  if not module.has_variable("params", NAME):
    return y
  gamma = module.get_variable("params", NAME).astype(y.dtype)
  if isinstance(module, qkv.Qkv):  # [3, b, heads, t, d]
    gamma = einops.rearrange(
      gamma, "(three h d) -> three 1 h 1 d", three=3, h=module.heads
    )
  return y * gamma


def folded(tree: Mapping[str, Any]) -> dict[str, Any]:
  """Parameters with every gamma merged into the kernel and bias beside it.

  Args:
    tree: nested dicts; gamma [..., d] beside kernel [..., c, d].

  Raises:
    ValueError: a gamma with no kernel beside it.
  """
  if not isinstance(tree, Mapping):
    return tree
  found = {name: folded(part) for name, part in tree.items() if name != NAME}
  if NAME not in tree:
    return found
  if "kernel" not in found:
    raise ValueError(f"{NAME} beside {', '.join(found)}, no kernel")
  gamma: jax.Array = tree[NAME]
  found["kernel"] = found["kernel"] * gamma[..., None, :]
  if "bias" in found:
    found["bias"] = found["bias"] * gamma
  return found
