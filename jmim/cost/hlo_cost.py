"""What a compiled program costs one chip: products, memory, networks.

Counted from its text, loops multiplied out (XLA's own `cost_analysis` counts
the body of a loop once). Element-wise arithmetic does not count.
"""

import dataclasses
import itertools
import math
import re

import numpy as np

from jmim.cost import hlo
from jmim.cost import hlo_collectives as collectives

_FREE = {
  *("parameter", "constant", "tuple", "get-tuple-element", "bitcast"),
  *("while", "conditional", "call", "after-all", "opt-barrier"),
  *("partition-id", "replica-id", "iota", "broadcast", "add-dependency"),
}
_SLICES = ("dynamic-slice", "slice", "gather")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Product:
  """A matrix product or convolution: 2 m n k FLOPs, `times` times.

  Attributes:
    name: where in the program it comes from.
    m: rows: all that is neither contracted nor a column, batch included.
    n: columns, the output features.
    k: all that is contracted: of a convolution features times the places of its
      kernel that an output meets (a mean over the outputs).
    flops: of one run.
    times: runs in a step.
  """

  name: str
  m: int
  n: int
  k: float
  flops: int
  times: int

  def padded(self, unit: int) -> float:
    """FLOPs with sides rounded up to the matrix unit, over those without.

    Rows are fed in eights, columns and contracted sides fill the unit. All that
    is contracted counts as one side: the TPU compiler's own estimate
    (`estimated_cycles`) of a kernel's gradient over 8 images of 16 x 16 places,
    which it writes as a window of 256 over 8 features, is 1.15 times the ideal
    time; of one over 16 images of 128 tokens 1.09.
    """
    up = lambda x, to: math.ceil(x / to) * to / x
    return up(self.m, 8) * up(self.n, unit) * up(self.k, unit)


@dataclasses.dataclass(frozen=True)
class Cost:
  """Of one chip and one step."""

  products: list[Product]
  collectives: list[collectives.Collective]
  traffic: int  # bytes read from and written to the main memory

  @property
  def flops(self) -> int:
    """Of all products."""
    return sum(p.flops * p.times for p in self.products)

  def filled(self, unit: int) -> float:
    """FLOPs of all products as the matrix unit does them: padded."""
    return sum(p.flops * p.times * p.padded(unit) for p in self.products)

  def sent(self, between: bool | None = None) -> dict[str, float]:
    """Kind -> bytes sent per step; between slices, inside them, or both."""
    sizes: dict[str, float] = {}
    for c in self.collectives:
      if between is None or c.between == between:
        sizes[c.kind] = sizes.get(c.kind, 0) + c.bytes
    return sizes


def cost(text: str, slices: int = 1, devices: int = 1) -> Cost:
  """The cost of a program.

  Args:
    text: of the compiled program.
    slices: among which the devices are dealt out in order.
    devices: in all.
  """
  program = hlo.parse(text)
  products, networks, traffic, chains = [], [], 0, set()
  for op, computation, times, fused in program.walk():
    if one := product(op, computation, times):
      products.append(one)
    if op.opcode.removesuffix("-start") in collectives.KINDS:
      chain = collectives.chain(op)
      if chain is None or chain not in chains:
        networks.append(
          collectives.read(
            op,
            computation,
            times=times,
            devices=devices,
            slices=slices,
            fused=fused,
          )
        )
      chains.add(chain)
    if sent := collectives.between_slices(op, computation, times, slices):
      networks.append(sent)
    if not fused:
      traffic += times * moved(program, op, computation)
  return Cost(products, networks, traffic)


# --- products


def product(
  op: hlo.Op, computation: hlo.Computation, times: int
) -> Product | None:
  """The product that an operation is, or None."""
  if op.opcode == "convolution":
    return _convolution(op, computation, times)
  gemm = op.opcode == "custom-call" and "gemm" in op.attr("custom_call_target")
  if op.opcode != "dot" and not gemm:
    return None
  # 2 m n k: every number of the output is a sum over the contracted sides, k
  # products each. The last side of the output is n; m is all the rest, so a
  # batch of products counts as one with more rows.
  lhs = computation[op.operands[0]].shapes[0]
  listed = op.attr("lhs_contracting_dims")
  if gemm:  # cuBLAS: in the JSON of backend_config
    match = re.search(r'"lhs_contracting_dimensions":\[([^\]]*)\]', op.attrs)
    listed = match[1] if match else ""
  k = math.prod(lhs.dims[int(i)] for i in re.findall(r"\d+", listed))
  out = math.prod(op.shapes[0].dims)
  n = op.shapes[0].dims[-1] if op.shapes[0].dims else 1
  return Product(
    name=origin(op), m=out // n, n=n, k=k, flops=2 * out * k, times=times
  )


def _convolution(
  op: hlo.Op, computation: hlo.Computation, times: int
) -> Product:
  """As XLA counts it: positions in padding or in holes do not.

  2 (images) (input features) (output features) (pairs of an output and a
  window position that meet an input). TPUs write all products this way, and
  the gradient with respect to a kernel as one whose window is the image.
  """
  lhs, rhs = (computation[o].shapes[0].dims for o in op.operands[:2])
  labels = re.match(r"(\w+)_(\w+)->(\w+)", op.attr("dim_labels"))
  lhs_at, rhs_at, out_at = (
    {c: i for i, c in enumerate(part)} for part in labels.groups()
  )
  out = op.shapes[0].dims
  window = dict(re.findall(r"(\w+)=([\dx_\-]+)", op.attr("window")))
  k, n, rows = rhs[rhs_at["i"]], out[out_at["f"]], out[out_at["b"]]
  valid, spread = 1, 1
  for d in (c for c in lhs_at if c.isdigit()):
    spread *= out[out_at[d]]
    take = lambda key, default, d=d: (
      window[key].split("x")[int(d)] if key in window else default
    )
    valid *= positions(
      lhs[lhs_at[d]],
      out[out_at[d]],
      window=int(take("size", "1")),
      stride=int(take("stride", "1")),
      pad=int(take("pad", "0_0").split("_")[0]),
      hole=int(take("lhs_dilate", "1")),
      step=int(take("rhs_dilate", "1")),
    )
  # The sides are independent, so pairs along each multiply (`positions`).
  flops = 2 * k * n * rows * valid
  return Product(
    name=origin(op),
    m=rows * spread,
    n=n,
    k=max(1, k * valid / spread),
    flops=flops,
    times=times,
  )


def positions(
  size: int, out: int, window: int, stride: int, pad: int, hole: int, step: int
) -> int:
  """Pairs of output and window positions that meet an input.

  Args:
    size: of the input along this dimension.
    out: of the output.
    window: of the kernel.
    stride: of the window.
    pad: before the input.
    hole: dilation of the input.
    step: dilation of the window.
  """
  # Output o at window position w reads the (dilated) input at i; a dilated
  # input holds numbers only at multiples of `hole`.
  i = np.arange(out)[:, None] * stride + np.arange(window) * step - pad
  return int(((i >= 0) & (i <= (size - 1) * hole) & (i % hole == 0)).sum())


def origin(op: hlo.Op) -> str:
  """Where an operation was written, short: "transpose/ViT/.../qkv"."""
  match = re.search(r'op_name="([^"]*)"', op.attrs)
  if not match:
    return op.name
  parts = re.split(r"/(?![^(]*\))", match[1])
  skip = ("while", "body", "cond", "closed_call", "dot_general", "checkpoint")
  named = [p for p in parts[1:] if p not in skip]
  return "/".join(named) or op.name


# --- traffic of the main memory


def moved(
  program: hlo.Program, op: hlo.Op, computation: hlo.Computation
) -> int:
  """Bytes that one run of an operation reads and writes."""
  if op.opcode in _FREE or op.opcode.endswith(("-done", "-update")):
    return 0
  if op.attr("custom_call_target") == '"AllocateBuffer"':
    return 0  # memory that a loop will write into
  if op.opcode in ("copy-start", "slice-start"):
    one = min((s for s in op.shapes if s.dims), key=lambda s: s.bytes)
    ends = [s for s in op.shapes if s.dims][:2]
    return one.bytes * sum(s.hbm for s in ends)
  if op.opcode in _SLICES:
    return 2 * op.bytes
  if op.opcode == "dynamic-update-slice":
    return 2 * computation[op.operands[1]].bytes
  if op.opcode == "fusion":
    return _fusion(program, op, computation)
  read = [computation[o] for o in op.operands if o in computation]
  arrays = itertools.chain(op.shapes, *(o.shapes for o in read))
  return sum(s.bytes for s in arrays if s.hbm)


def _fusion(program, op, computation) -> int:
  """Of a slice of an operand only the slice counts, read or written."""
  inner = program.computations[op.called["calls"][0]]
  total = 0
  for i, name in enumerate(op.operands):
    source = computation.get(name)
    if source is not None and source.shapes and source.shapes[0].hbm:
      total += _read(program, inner, i)
  root = next(o for o in inner.values() if o.root)
  ends = [inner[o] for o in root.operands] if root.opcode == "tuple" else [root]
  for end, shape in zip(ends, op.shapes, strict=False):
    total += _written(inner, end) if shape.hbm else 0
  return total


def _written(inner, end) -> int:
  """Bytes written for an output: of an update in place, the update."""
  while end.opcode == "bitcast" and end.operands[0] in inner:
    end = inner[end.operands[0]]
  if end.opcode == "dynamic-update-slice":
    return inner[end.operands[1]].bytes
  return end.bytes


def _read(program, inner, index) -> int:
  """Bytes of parameter `index` that a fused computation reads."""
  params = [o for o in inner.values() if o.opcode == "parameter"]
  start = next(o for o in params if o.inside.strip() == str(index))
  total, todo = 0, [start]
  while todo:
    source = todo.pop()
    for user in inner.values():
      for place, name in enumerate(user.operands):
        if name != source.name:
          continue
        if user.opcode == "bitcast":
          todo.append(user)
        elif user.opcode in _SLICES and place == 0:
          total += user.bytes
        elif user.opcode == "dynamic-update-slice" and place == 0:
          pass  # written in place
        elif user.opcode == "fusion":
          called = program.computations[user.called["calls"][0]]
          total += _read(program, called, place)
        else:
          total += start.bytes
  return min(total, start.bytes)
