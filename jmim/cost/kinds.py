"""What kinds of work the operations of a compiled step are, and how fast.

Of each operation a trace knows the time, and the program its FLOPs and the
bytes it reads and writes; their quotients are to be seen beside what the
machine can do.
"""

import collections
import dataclasses
import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping

from jmim.cost import hlo
from jmim.cost import hlo_cost

# They compute nothing: a fusion of these alone is a copy.
_MOVES = {
  *("parameter", "constant", "tuple", "get-tuple-element", "bitcast"),
  *("copy", "transpose", "slice", "reshape", "broadcast", "concatenate", "pad"),
  *("dynamic-slice", "dynamic-update-slice", "iota", "gather", "reverse"),
}
# Element-wise work, by the parts of `nn` where it was written.
NORMS = "normalisation"
SOFTMAX = "softmax of attention"
ACTIVATION = "activation of MLPs"
_PLACES = ((NORMS, r"norm"), (SOFTMAX, r"attend"), (ACTIVATION, r"mlp"))
# Products with parameters, and those of two things of a batch (attention).
DEPENDENT = "products"
BATCHED = "products of a batch"
COPIES = "copies"  # into another order or place
OUTSIDE = "no gradient"  # the optimizer, metrics
REST = "other element-wise"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
  """Of one kind, or one shape of a product; per step.

  Attributes:
    name: of it.
    seconds: in its operations.
    flops: of products.
    bytes: read and written, as if no cache helped.
    runs: of its operations.
  """

  name: str
  seconds: float
  flops: float
  bytes: float
  runs: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Known:
  """What the program says of one operation."""

  kind: str
  shape: str  # of its largest product, "[m, k] x [k, n]"; "" if it has none
  flops: int
  bytes: int


def rows(
  text: str, spent: Mapping[str, tuple[float, int]], steps: int
) -> tuple[list[Row], list[Row]]:
  """(by kind, products by shape), each the longest first.

  Args:
    text: of the compiled program.
    spent: operation -> (seconds, times run), as `profile.times` has it.
    steps: in the trace, those of each device.
  """
  program = hlo.parse(text)
  known = {
    op.name: _known(program, op, computation)
    for op, computation, _, fused in program.walk()
    if not fused
  }
  found = [
    (one, (seconds, runs * one.flops, runs * one.bytes, runs))
    for name, (seconds, runs) in spent.items()
    if (one := known.get(name))
  ]
  return (
    summed(((one.kind, spent) for one, spent in found), steps),
    summed(((one.shape, spent) for one, spent in found if one.shape), steps),
  )


def summed(
  found: Iterable[tuple[str, tuple[float, float, float, float]]], steps: int
) -> list[Row]:
  """One row a name, per step, the longest first.

  Args:
    found: (name, (seconds, flops, bytes, runs)), names as often as they come.
    steps: that all is divided by.
  """
  sums = collections.defaultdict(lambda: (0.0, 0.0, 0.0, 0.0))
  for name, more in found:
    sums[name] = tuple(a + b for a, b in zip(sums[name], more, strict=True))
  made = []
  for name, total in sums.items():
    seconds, flops, size, runs = (x / steps for x in total)
    made.append(
      Row(name=name, seconds=seconds, flops=flops, bytes=size, runs=runs)
    )
  return sorted(made, key=lambda row: -row.seconds)


def _known(
  program: hlo.Program, op: hlo.Op, computation: hlo.Computation
) -> _Known:
  inner = list(_inside(program, op, computation))
  products = [
    (product, one)
    for one, where in inner
    if (product := hlo_cost.product(one, where, 1))
  ]
  shape = ""
  if products:
    most, one = max(products, key=lambda x: x[0].flops)
    shape = f"[{most.m}, {most.k}] x [{most.k}, {most.n}]"
    batched = _batched(one)
    kind = BATCHED if batched else f"{DEPENDENT}, {_pass(one)}"
  elif {one.opcode for one, _ in inner} <= _MOVES:
    kind = COPIES
  else:
    kind = _elementwise(hlo_cost.origin(op))
  return _Known(
    kind=kind,
    shape=shape,
    flops=sum(product.flops for product, _ in products),
    bytes=hlo_cost.moved(program, op, computation),
  )


def _inside(
  program: hlo.Program, op: hlo.Op, computation: hlo.Computation
) -> Iterator[tuple[hlo.Op, hlo.Computation]]:
  """The operations of a fusion; any other operation itself."""
  if op.opcode != "fusion":
    yield op, computation
    return
  inner = program.computations[op.called["calls"][0]]
  for one in inner.values():
    yield from _inside(program, one, inner)


def _batched(op: hlo.Op) -> bool:
  """Whether both factors are different for each example of a batch."""
  return bool(re.search(r"\d", op.attr("lhs_batch_dims")))


def _pass(op: hlo.Op) -> str:
  return "backward" if "transpose(" in hlo_cost.origin(op) else "forward"


def _elementwise(origin: str) -> str:
  if "jvp(" not in origin:
    return OUTSIDE
  for kind, place in _PLACES:
    if re.search(place, origin):
      return kind
  return REST
