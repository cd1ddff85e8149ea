"""Partition specs: what splits each dimension of an array."""

import math
from collections.abc import Mapping
from collections.abc import Sequence

import jax

from jmim.core import tree as trees

P = jax.sharding.PartitionSpec
Shape = tuple[int, ...]
Entry = str | tuple[str, ...] | None  # axes that split a dimension


def plus(entry: Entry, axis: str) -> Entry:
  """One dimension's entry of a spec, split over one more axis."""
  if entry is None:
    return axis
  return (*(entry if isinstance(entry, tuple) else (entry,)), axis)


def add_axis(
  spec: P, shape: Shape, name: str, axis: str, mesh: Mapping[str, int]
) -> P | None:
  """`spec` with one more axis, on the largest dimension that divides.

  The size that counts is what the axes in `spec` leave. Of equal ones the
  last; never the layer dimension of stacked parameters, since a scan would
  gather a layer from one chip at a time.

  Args:
    spec: partition so far.
    shape: of the array.
    name: of the leaf.
    axis: mesh axis to add.
    mesh: axis -> size.

  Returns:
    the wider spec, or None where no dimension divides.
  """
  entries = [*spec, *[None] * (len(shape) - len(spec))]
  parts = [e if isinstance(e, tuple) else (e,) for e in entries]
  ways = [math.prod(mesh[a] for a in axes if a) for axes in parts]
  rest = [n // w for n, w in zip(shape, ways, strict=True)]
  first = int(trees.stacked(name))
  fits = [i for i in range(first, len(shape)) if rest[i] % mesh[axis] == 0]
  if not fits:
    return None
  best = max(fits, key=lambda i: (rest[i], i))
  entries[best] = plus(entries[best], axis)
  return trimmed(entries)


def trimmed(entries: Sequence[Entry]) -> P:
  """A spec without the Nones at its end."""
  entries = list(entries)
  while entries and entries[-1] is None:
    entries.pop()
  return P(*entries)
