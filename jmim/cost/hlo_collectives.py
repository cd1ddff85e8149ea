"""What chips send each other in a compiled program."""

import dataclasses
import math
import re

import numpy as np

from jmim.cost import hlo

KINDS = hlo.COLLECTIVES


@dataclasses.dataclass(frozen=True, kw_only=True)
class Collective:
  """Bytes that one chip sends in a step, for one operation of the program.

  Attributes:
    kind: one of KINDS.
    bytes: sent by one chip, all runs.
    group: chips that take part.
    between: whether it joins slices.
    times: runs in a step.
  """

  kind: str
  bytes: float
  group: int
  between: bool
  times: int


def chain(op: hlo.Op) -> str | None:
  """What the parts of one collective that runs beside products share.

  The TPU compiler writes such a collective down in a fusion that starts it,
  in every product that it runs beside, and in one that waits for it.
  """
  part = re.search(r'chain_id="(\d+)"', op.attrs)
  return f"{op.attr('channel_id')} {part[1]}" if part else None


def read(
  op: hlo.Op,
  computation: hlo.Computation,
  times: int,
  devices: int,
  slices: int,
  fused: bool = False,
) -> Collective:
  """Bytes by the ring algorithms, from the sizes of the operands.

  Sums of which a fusion keeps a slice are scattered: TPUs write that so.
  """
  kind = op.opcode.removesuffix("-start")
  if fused and kind == "all-reduce":
    sliced = any(o.opcode == "dynamic-slice" for o in computation.values())
    kind = "reduce-scatter" if sliced else kind
  groups = members(op, devices)
  n = groups.shape[1]
  size = sum(computation[o].bytes for o in op.operands)
  owner = groups // max(1, devices // slices)
  between = slices > 1 and bool((owner != owner[:, :1]).any())
  return Collective(
    kind=kind,
    bytes=times * size * share(kind, n),
    group=n,
    between=between,
    times=times,
  )


def between_slices(
  op: hlo.Op, computation: hlo.Computation, times: int, slices: int
) -> Collective | None:
  """What an operation hands to the network between slices, or None.

  The TPU compiler sums inside each slice first, and writes the rest down as a
  transfer to the host, whose runtime (MegaScale) does it.
  """
  kind = re.search(r'_xla_megascale_transfer_type="(\w+)"', op.attrs)
  if op.opcode != "send" or not kind:
    return None
  kind = kind[1].lower().replace("_", "-")
  size = computation[op.operands[0]].bytes
  return Collective(
    kind=kind,
    bytes=times * size * share(kind, slices),
    group=slices,
    between=True,
    times=times,
  )


def share(kind: str, n: int) -> float:
  """Bytes that one of n members sends in a ring, per byte of its operand.

  Patarasuk and Yuan 2009: in each of n - 1 turns a member hands one piece to
  its neighbour. The operand of a gather is one piece; that of a scatter, and
  of an all-to-all, is n pieces; an all-reduce is a scatter, then a gather.
  """
  return {
    "all-gather": n - 1,
    "all-reduce": 2 * (n - 1) / n,
    "collective-permute": 1,
  }.get(kind, (n - 1) / n)


def members(op: hlo.Op, devices: int) -> np.ndarray:
  """[groups, chips of each]: who takes part, by position in the mesh."""
  pairs = re.search(r"source_target_pairs=\{((?:\{\d+,\d+\},?)*)\}", op.attrs)
  if pairs:
    ends = re.findall(r"\{(\d+),(\d+)\}", pairs[1])
    return np.array(ends, int).reshape(-1, 2)
  text = op.attrs.partition("replica_groups=")[2]
  if named := re.match(r"mesh\[([^\]]*)\](?:[^{]*?)\{([^}]*)\}", text):
    return _mesh_members(*named.groups())
  if iota := re.match(r"\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?", text):
    shape, dims, order = (
      [int(x) for x in part.split(",")] if part else None
      for part in iota.groups()
    )
    ids = np.arange(math.prod(dims)).reshape(dims)
    return (ids.transpose(order) if order else ids).reshape(shape)
  listed = re.match(r"\{((?:\{[\d,]+\},?)+)\}", text)
  if listed:
    rows = re.findall(r"\{([\d,]+)\}", listed[1])
    return np.array([[int(x) for x in row.split(",")] for row in rows])
  return np.arange(devices)[None]


def _mesh_members(axes: str, chosen: str) -> np.ndarray:
  """Groups written as axes of a mesh: mesh['a'=2,'b'=4] {'b'}, {'b':(1)2}."""
  sizes = {n: int(s) for n, s in re.findall(r"'(\w+)'=(\d+)", axes)}
  parts = re.findall(r"'(\w+)'(?::\((\d+)\)(\d+))?", chosen)
  # An axis of which only a factor takes part becomes (before, factor, after).
  dims, take = [], []
  for name, size in sizes.items():
    factors = sorted(
      (int(p or 1), int(s or size)) for n, p, s in parts if n == name
    )
    done = 1
    for before, part in factors:
      dims += [before // done, part]
      take.append(len(dims) - 1)
      done = before * part
    dims.append(size // done)
  ids = np.arange(math.prod(dims)).reshape(dims)
  rest = [i for i in range(len(dims)) if i not in take]
  width = math.prod(dims[i] for i in take)
  return ids.transpose([*rest, *take]).reshape(-1, width)
