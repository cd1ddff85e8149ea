"""Linear maps with a product of two thin ones beside them (LoRA).

    y = x W + b + scale (x D) U          D [c, r], U [r, d]

Hu et al. 2022. The parameters `lora_down` and `lora_up` lie beside `kernel` in
the tree that a network is applied to; networks need not know of it:

    with low_rank.added(scale):
      net.apply({"params": params}, ...)

U begins at 0, and so does what is added. No gradient of W is formed for it.
`folded` is the same network without them:

    W <- W + scale D U
"""

import contextlib
import functools
import math
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import tree as trees

DOWN, UP = "lora_down", "lora_up"


def added(scale: float) -> contextlib.AbstractContextManager[None]:
  """Within it every `nn.Dense` that has both of them adds their product."""
  return nn.intercept_methods(functools.partial(_add, scale))


def _add(
  scale: float,
  inner: Callable[..., Any],
  args: Any,
  kwargs: Any,
  context: Any,
) -> Any:
  """The method of a module, and the product if that is a map with one."""
  y, module = inner(*args, **kwargs), context.module
  if not isinstance(module, nn.Dense) or context.method_name != "__call__":
    return y
  if not module.has_variable("params", DOWN):
    return y
  down, up = (
    module.get_variable("params", n).astype(y.dtype) for n in (DOWN, UP)
  )
  return y + scale * ((args[0].astype(y.dtype) @ down) @ up)


def init(
  key: jax.Array, like: Any, rank: int, wanted: Callable[[str], bool]
) -> dict[str, Any]:
  """Fresh D and U for kernels of a tree.

  D is uniform in +-1 / sqrt(c), as the authors' code has it.

  Args:
    key: of what is random.
    like: nested dict of arrays or shapes; kernels are [..., c, d].
    rank: r.
    wanted: name of a kernel -> whether it gets them.

  Returns:
    nested dicts with the paths of the kernels, without these.
  """
  named = trees.named(like).items()
  kernels = {n: x for n, x in named if n.endswith("/kernel") and wanted(n)}
  keys = jax.random.split(key, max(1, len(kernels)))
  found = {}
  for own, (name, kernel) in zip(keys, kernels.items(), strict=False):
    *stack, c, d = kernel.shape
    draw = functools.partial(jax.random.uniform, own, (*stack, c, rank))
    place, bound = name.removesuffix("kernel"), 1 / math.sqrt(c)
    found[place + DOWN] = draw(minval=-bound, maxval=bound)
    found[place + UP] = jnp.zeros((*stack, rank, d))
  return trees.nested(found)


def folded(tree: Any, scale: float) -> Any:
  """Parameters with every product added to the kernel beside it.

  Args:
    tree: nested dicts.
    scale: as of `added`.

  Raises:
    ValueError: a product with no kernel beside it.
  """
  if not isinstance(tree, Mapping):
    return tree
  found = {n: folded(x, scale) for n, x in tree.items() if n not in (DOWN, UP)}
  if DOWN not in tree:
    return found
  if "kernel" not in found:
    raise ValueError(f"{DOWN} beside {', '.join(found)}, no kernel")
  found["kernel"] = found["kernel"] + scale * tree[DOWN] @ tree[UP]
  return found
