"""Reads the text of a compiled program (HLO), as far as counting needs.

One line is one operation: `%name = type opcode(%operand, ...), attributes`;
a computation is a header, lines, and a brace. Nothing of JAX is needed.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Iterator

RARE = re.compile(r'op_name="[^"]*/overflow/')
_BITS = {"pred": 8, "token": 0}
_ARRAY = re.compile(r"(\w+)\[([\d,]*)\](\{[^}]*\})?")
_NAME = re.compile(r"%([\w.\-]+)")
_LINE = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_CALLED = re.compile(
  r"\b(calls|body|condition|to_apply|branch_computations|"
  r"true_computation|false_computation)=\{?((?:%[\w.\-]+(?:, )?)+)"
)


@dataclasses.dataclass(frozen=True)
class Shape:
  """An array of a program.

  Attributes:
    dtype: as HLO writes it, "bf16".
    dims: its sides.
    hbm: whether it lies in the main memory of the chip (not in registers,
      VMEM or on the host, which layouts mark by S(n)).
  """

  dtype: str
  dims: tuple[int, ...]
  hbm: bool = True

  @property
  def bytes(self) -> int:
    """Without padding."""
    digits = re.search(r"\d+", self.dtype)
    bits = _BITS.get(self.dtype, int(digits[0]) if digits else 0)
    return math.prod(self.dims) * bits // 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Op:
  """One operation.

  Attributes:
    name: unique in its computation.
    opcode: "fusion", "dot", ...
    shapes: of its outputs, tuples flattened.
    operands: names.
    attrs: the rest of the line.
    inside: what stands between the parentheses, for constants and parameters.
    root: whether it is what the computation returns.
  """

  name: str
  opcode: str
  shapes: tuple[Shape, ...]
  operands: tuple[str, ...]
  attrs: str
  inside: str
  root: bool

  @property
  def bytes(self) -> int:
    """Of all outputs."""
    return sum(s.bytes for s in self.shapes)

  @functools.cached_property
  def called(self) -> dict[str, list[str]]:
    """Attribute ("body", "calls", ...) -> computations."""
    names_by_attr: dict[str, list[str]] = {}
    for key, names in _CALLED.findall(self.attrs):
      names_by_attr.setdefault(key, []).extend(_NAME.findall(names))
    return names_by_attr

  def attr(self, name: str) -> str:
    """The text of an attribute in braces or without; "" if it is not there."""
    match = re.search(rf"\b{name}=(\{{[^}}]*\}}|[^,\s]+)", self.attrs)
    return match[1] if match else ""


Computation = dict[str, Op]


@dataclasses.dataclass(frozen=True)
class Program:
  """A module: computations by name, and which is the entry."""

  computations: dict[str, Computation]
  entry: str

  def walk(self) -> Iterator[tuple[Op, Computation, int, bool]]:
    """(op, its computation, times it runs, inside a fusion) of the program.

    Of a conditional one branch runs: the dearest counts, as in `cost.flops`.
    """
    yield from self._walk(self.entry, 1, False)

  def _walk(self, name, times, fused):
    computation = self.computations[name]
    for op in computation.values():
      yield op, computation, times, fused
      if op.opcode == "while":
        n = times * self.trips(op, computation)
        yield from self._walk(op.called["body"][0], n, fused)
      elif op.opcode in _CALLERS:
        inner = fused or op.opcode == "fusion"
        called = [n for names in op.called.values() for n in names]
        if op.opcode == "conditional":
          called = [max(called, key=self._written)]
        for one in called:
          yield from self._walk(one, times, inner)

  def _written(self, name: str) -> int:
    """Bytes that the operations of a computation write: which is dearer."""
    return sum(op.bytes * n for op, _, n, _ in self._walk(name, 1, False))

  def trips(self, loop: Op, computation: Computation) -> int:
    """How often a loop runs: by the compiler's note, or by its condition.

    A loop that draws numbers until they are accepted has no bound: it counts
    once, as it neither multiplies matrices nor sends anything. One for what
    exceeds its room (RARE in its name, see `nn.exchange`) counts as not run.

    Raises:
      ValueError: neither tells, of a loop that does.
    """
    if RARE.search(loop.attrs):
      return 0
    known = re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.attrs)
    if known:
      return int(known[1])
    condition = self.computations[loop.called["condition"][0]]
    limits = [
      int(op.inside)
      for op in self._below(condition)
      if op.opcode == "constant" and re.fullmatch(r"-?\d+", op.inside)
    ]
    body = self.computations[loop.called["body"][0]]
    if not limits and not any(o.opcode in _DEAR for o in self._below(body)):
      return 1
    if len(limits) != 1:
      raise ValueError(f"loop {loop.name}: condition with constants {limits}")
    counter = next(
      (
        int(o.attr("index"))
        for o in condition.values()
        if o.opcode == "get-tuple-element"
      ),
      0,
    )
    turns = limits[0] - self._start(loop, counter, computation)
    return -(-turns // self._stride(loop, counter))

  def _below(self, computation: Computation) -> Iterator[Op]:
    """Operations of a computation and of those it calls."""
    for op in computation.values():
      yield op
      for names in op.called.values():
        for name in names:
          yield from self._below(self.computations[name])

  def _start(self, loop: Op, counter: int, computation: Computation) -> int:
    """The counter before the first turn; 0 unless it is plainly a constant."""
    start = computation.get(loop.operands[0])
    if start is None or start.opcode != "tuple":
      return 0
    return _constant(_through(start.operands[counter], computation))

  def _stride(self, loop: Op, counter: int) -> int:
    """What a turn adds to it; 1 unless that is plainly a constant.

    More than 1 in products that are cut into windows, whose shards of a kernel
    travel around a ring while they are used: a turn then has several steps.
    """
    body = self.computations[loop.called["body"][0]]
    root = next(op for op in body.values() if op.root)
    if root.opcode != "tuple":
      return 1
    add = _through(root.operands[counter], body)
    if add is None or add.opcode != "add":
      return 1
    sides = [_through(name, body) for name in add.operands]
    return max(1, *(_constant(op) for op in sides))


def _through(name: str, computation: Computation) -> Op | None:
  """The operation of that name, or what it is only a copy of."""
  op = computation.get(name)
  while op is not None and op.opcode in ("copy", "bitcast"):
    op = computation.get(op.operands[0])
  return op


def _constant(op: Op | None) -> int:
  """The number that an operation is; 0 if it is none."""
  return int(op.inside) if op is not None and op.opcode == "constant" else 0


_CALLERS = ("fusion", "call", "conditional", "async-start", "custom-call")
COLLECTIVES = (
  "all-gather",
  "all-reduce",
  "reduce-scatter",
  "all-to-all",
  "ragged-all-to-all",
  "collective-permute",
)
_DEAR = (
  "dot",
  "convolution",
  "custom-call",
  "send",
  *(name + part for name in COLLECTIVES for part in ("", "-start")),
)


def shapes_of(text: str) -> tuple[Shape, ...]:
  """The arrays of a type, tuples flattened."""
  return tuple(
    Shape(
      dtype,
      tuple(int(d) for d in dims.split(",") if d),
      re.search(r"S\([1-9]", layout) is None,
    )
    for dtype, dims, layout in _ARRAY.findall(text)
  )


def _closing(text: str, start: int) -> int:
  """Index after the parenthesis that closes the one at `start`."""
  depth = 0
  for i in range(start, len(text)):
    depth += (text[i] == "(") - (text[i] == ")")
    if not depth:
      return i + 1
  raise ValueError(f"unbalanced: {text[:80]}")


def parse_line(line: str) -> Op | None:
  """One operation; None for a line that is none."""
  match = _LINE.match(line)
  if not match:
    return None
  root, name, rest = match.groups()
  end = _closing(rest, 0) if rest.startswith("(") else rest.index(" ")
  kind, rest = rest[:end], rest[end:].lstrip()
  head = re.match(r"[\w\-]+\(", rest)
  if not head:
    return None
  close = _closing(rest, head.end() - 1)
  inside = rest[head.end() : close - 1]
  return Op(
    name=name,
    opcode=rest[: head.end() - 1],
    shapes=shapes_of(kind),
    operands=tuple(_NAME.findall(inside)),
    attrs=rest[close:],
    inside=inside,
    root=bool(root),
  )


def parse(text: str) -> Program:
  """A program from `compiled.as_text()`.

  Raises:
    ValueError: there is no entry computation.
  """
  computations: dict[str, Computation] = {}
  entry, current = None, None
  for line in text.splitlines():
    if head := _HEAD.match(line):
      current = computations.setdefault(head[2], {})
      entry = head[2] if head[1] else entry
    elif current is not None and (op := parse_line(line)):
      current[op.name] = op
  if entry is None:
    raise ValueError("no ENTRY computation in the text")
  return Program(computations, entry)
