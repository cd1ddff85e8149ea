"""Model FLOPs, counted from the jaxpr.

The rule: 2 m n k for every matrix product and convolution of the forward pass
that the loss needs, times the trip count of the scans around it. In a training
step a product counts once more for each of its two sides whose gradient is
needed (`cost.gradient_flops`): three times in all within what is trained, once
in a frozen teacher or tokenizer, or behind a stop_gradient. Element-wise work,
recomputation and padding do not count. MFU (Chowdhery et al. 2022, PaLM,
appendix B) is this number per second over the peak of the chips.
"""

import math
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.interpreters import partial_eval

from jmim.parallel import chips


def _dot(eqn: Any) -> int:
  """2 (b m n) k: every output is a sum of k products, k sides contracted."""
  (contract, _), _ = eqn.params["dimension_numbers"]
  lhs = eqn.invars[0].aval.shape
  k = math.prod(lhs[i] for i in contract)
  return 2 * math.prod(eqn.outvars[0].aval.shape) * k


def _ragged(eqn: Any) -> int:
  """2 m k n: each row of [m, k] meets one group's matrix of [g, k, n].

  That is the work of routed experts without padding, however the rows are
  dealt out among the groups.
  """
  m_k = eqn.invars[0].aval.shape
  _, _, n = eqn.invars[1].aval.shape
  return 2 * math.prod(m_k) * n


def _conv(eqn: Any) -> int:
  """2 (batch, features, input features of a group) (places that meet).

  Along an axis these are the product of the two smaller numbers of places: of
  the image, of the kernel, of the result. So a convolution costs as much as
  each of its gradients, which are convolutions of the same three, whatever the
  stride; padding counts where image and result are of one size, and zeros
  between pixels that are spread (a transposed convolution) do not.
  """
  numbers = eqn.params["dimension_numbers"]
  image, kernel = (v.aval.shape for v in eqn.invars[:2])
  result = eqn.outvars[0].aval.shape
  specs = (numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec)
  places = zip(
    *(
      [shape[i] for i in spec[2:]]
      for shape, spec in zip((image, kernel, result), specs, strict=True)
    ),
    strict=True,
  )
  meetings = math.prod(math.prod(sorted(n)[:2]) for n in places)
  batch, features = (result[i] for i in numbers.out_spec[:2])
  return 2 * batch * features * kernel[numbers.rhs_spec[1]] * meetings


PRODUCTS = {
  "dot_general": _dot,
  "ragged_dot_general": _ragged,
  "conv_general_dilated": _conv,
}  # name of a primitive -> FLOPs of an equation


def product(eqn: Any) -> int:
  """FLOPs of an equation that is a matrix product or convolution, else 0."""
  rule = PRODUCTS.get(eqn.primitive.name)
  return rule(eqn) if rule else 0


def count_jaxpr(jaxpr: Any) -> int:
  """Matmul and convolution FLOPs of a jaxpr, scans multiplied out.

  Of a branch the dearest side counts; a while loop, whose turns are not known
  before it runs, counts as one turn.
  """
  total = 0
  for eqn in jaxpr.eqns:
    name = eqn.primitive.name
    total += product(eqn)
    if name == "cond":
      total += max(count_jaxpr(b.jaxpr) for b in eqn.params["branches"])
    else:
      times = eqn.params["length"] if name == "scan" else 1
      total += times * sum(count_jaxpr(j) for j in inner(eqn.params))
  return total


def inner(params: dict[str, Any]) -> list[Any]:
  """Jaxprs among the parameters of an equation (jit, scan, remat, ...)."""
  jaxprs = []
  for value in params.values():
    for item in value if isinstance(value, tuple | list) else (value,):
      item = getattr(item, "jaxpr", item)
      if hasattr(item, "eqns"):
        jaxprs.append(item)
  return jaxprs


def inputs(jaxpr: Any, operands: Sequence[Any]) -> list[Any]:
  """Those of an equation's operands that a jaxpr in it takes: the last ones.

  Predicates and the constants of another part of a loop come first.
  """
  return list(operands[len(operands) - len(jaxpr.invars) :])


def count(fn: Callable[..., Any], *args: Any) -> int:
  """Forward FLOPs of fn(*args); args may be shapes (nothing is run).

  Dead code does not count: products whose results `fn` does not return are
  removed first.
  """
  return count_jaxpr(live(fn, *args)[0])


def live(fn: Callable[..., Any], *args: Any) -> tuple[Any, list[bool]]:
  """Jaxpr of fn(*args) without dead code; which leaves of args it reads."""
  closed = jax.make_jaxpr(fn)(*args)
  every = [True] * len(closed.jaxpr.outvars)
  return partial_eval.dce_jaxpr(closed.jaxpr, every)


def peak_per_chip(device: jax.Device) -> float | None:
  """Dense bf16 peak of a chip [FLOP/s]; None where it is not known."""
  chip = chips.find(device)
  return chip.peak if chip else None


def measured_peak(side: int = 1024, repeats: int = 5) -> float:
  """The best rate of a square float32 product on one device [FLOP/s].

  For processors whose data sheet gives no useful peak (CPUs). It runs on the
  default device and takes a few tens of milliseconds.
  """
  x = jnp.ones((side, side), jnp.float32)
  product = jax.jit(lambda a: a @ a)
  product(x).block_until_ready()
  best = float("inf")
  for _ in range(repeats):
    start = time.perf_counter()
    product(x).block_until_ready()
    best = min(best, time.perf_counter() - start)
  return 2 * side**3 / best
