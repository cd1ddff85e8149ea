"""Names of weights elsewhere and here: one table, read in both directions.

A table is a list of `Rule`s. In their names "{i}" counts layers; our leaf is
then the stack of all of them. Every array on either side must be used.

Arrays pass one rule at a time (`import_stream`, `export_stream`): besides the
result, only a leaf of ours and two arrays of theirs are in memory; of a leaf
that comes layer by layer (`import_pieces`), only a layer.
"""

import dataclasses
import math
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.convert import ops
from jmim.core import errors
from jmim.core import tree as trees

Array = np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
  """Their name, our leaf name, and the change of layout between them.

  Either may be a tuple of names: arrays that stand side by side on an axis (of
  our layout) of what the other side holds as one, of equal size but for
  `sizes`.

  Attributes:
    theirs: their name or names; "{i}" counts layers.
    ours: our leaf name or names.
    op: from their layout to ours and back.
    copies: they store so many equal copies, "{i}", of our one array.
    axis: along which arrays stand side by side.
    sizes: of each of theirs on that axis; (): they are equal.
  """

  theirs: str | tuple[str, ...]
  ours: str | tuple[str, ...]
  op: ops.Op = ops.SAME
  copies: int = 0
  axis: int = -1
  sizes: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constant:
  """An array they store and we compute: checked on the way in.

  Attributes:
    theirs: their name.
    value: what it must be.
    ours: the leaf name it would have, for the parts a file may lack.
    unused: no output of ours depends on it: written, and not read.
  """

  theirs: str
  value: Array
  ours: str = ""
  unused: bool = False


Table = Sequence[Rule | Constant]


def placed(table: Table, theirs: str, ours: str) -> list[Rule | Constant]:
  """The same table with prefixes before all of its names."""
  return [
    dataclasses.replace(
      r, theirs=_prefixed(theirs, r.theirs), ours=_prefixed(ours, r.ours)
    )
    for r in table
  ]


def _prefixed(
  prefix: str, side: str | tuple[str, ...]
) -> str | tuple[str, ...]:
  """A rule's names with a prefix; a constant may have none of ours."""
  if isinstance(side, tuple):
    return tuple(prefix + name for name in side)
  return prefix + side if side else ""


def import_tree(table: Table, theirs: Mapping[str, Array]) -> dict[str, Any]:
  """Their arrays as our nested dict of numpy arrays.

  Raises:
    UserError: a name missing or left over, or a constant that differs.
  """
  missing, unknown = unmatched(table, theirs)
  if missing or unknown:
    raise errors.UserError(
      f"weights lack {missing[:8]} and have unknown {unknown[:8]}",
      f"exactly the {len(table)} names of this family",
      "choose the family the weights come from",
      "--from",
    )
  return trees.nested(dict(import_stream(table, theirs)))


def unmatched(
  table: Table, theirs: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
  """(names of rules without their arrays, arrays without a rule)."""
  used, missing = set(), []
  for rule in table:
    layers = [_layers(name, theirs) for name in _names(rule.theirs)]
    names = [name for every in layers for name in every]
    if (
      not names
      or not theirs.keys() >= set(names)
      or len(set(map(len, layers))) > 1
    ):
      missing += _names(rule.theirs)
    else:
      used.update(names)
  return missing, sorted(set(theirs) - used)


def import_stream(
  table: Table, theirs: Mapping[str, Array]
) -> Iterator[tuple[str, Array]]:
  """Our (leaf name, array), leaf by leaf; every rule must find its arrays.

  Raises:
    UserError: a constant, or a copy of one array, that differs.
  """
  for name, _, array in import_pieces(table, theirs):
    yield name, array
    del array  # the caller may free each leaf before the next


def import_pieces(
  table: Table, theirs: Mapping[str, Array], most: float = math.inf
) -> Iterator[tuple[str, int | None, Array]]:
  """Our (leaf name, layer, array): see `import_stream`.

  Leaves of more than `most` bytes come layer by layer; else layer is None.
  """
  for rule in table:
    if isinstance(rule, Constant):
      _check_constant(rule, theirs[rule.theirs])
      continue
    names, ours = _names(rule.theirs), _names(rule.ours)
    layers = list(zip(*(_layers(n, theirs) for n in names), strict=True))
    if "{i}" in names[0] and not rule.copies:
      yield from _stacked(rule, layers, theirs=theirs, ours=ours, most=most)
      continue
    parts = _gather(rule, layers[0], theirs, len(ours))
    for other in layers[1:]:
      _check_copy(rule, other, parts, theirs)
    for name in ours:
      yield name, None, parts.pop(0)


def _stacked(rule, layers, theirs, ours, most):
  """The pieces of leaves that are stacks."""
  stacks: list[Array] = []
  for i, layer in enumerate(layers):
    parts = _gather(rule, layer, theirs, len(ours))
    if len(layers) * sum(part.nbytes for part in parts) > most:
      for name in ours:
        yield name, i, parts.pop(0)
      continue
    stacks = stacks or [
      np.empty((len(layers), *x.shape), x.dtype) for x in parts
    ]
    for stack in stacks:
      stack[i] = parts.pop(0)
      del stack  # the caller may free it
  while stacks:
    yield ours[-len(stacks)], None, stacks.pop(0)


def _gather(rule, names, theirs, n) -> list[Array]:
  """The arrays of one layer in our layout, as n side by side."""
  arrays = [np.asarray(rule.op.to_ours(theirs[x])) for x in names]
  return _regroup(arrays, n, rule.axis)


def export_tree(
  table: Table, ours: Any, constants: bool = True
) -> dict[str, Array]:
  """Our tree under their names (works for gradients too, without constants).

  Raises:
    UserError: a leaf no rule names, or a rule without its leaf.
  """
  named = trees.named(ours)
  check_export(table, named)
  return dict(export_stream(table, named, constants))


def check_export(table: Table, named: Mapping[str, Any]) -> None:
  """Raises UserError for a leaf no rule names, or a rule without its leaf."""
  rules = [rule for rule in table if isinstance(rule, Rule)]
  known = {name for rule in rules for name in _names(rule.ours)}
  if known != set(named):
    wrong = sorted(known ^ set(named))
    raise errors.UserError(
      f"no counterpart for {wrong[:8]}",
      "a model of this family",
      "choose the family of the model",
      "--format",
    )


def export_stream(
  table: Table, named: Mapping[str, Any], constants: bool = True
) -> Iterator[tuple[str, Array]]:
  """Their (name, array), one at a time, from our leaves by name."""
  for rule in table:
    if isinstance(rule, Constant):
      if constants:
        yield rule.theirs, rule.value
      continue
    names = _names(rule.theirs)
    leaves = [np.asarray(named[n]) for n in _names(rule.ours)]
    stacked = "{i}" in names[0] and not rule.copies
    parts = part = None
    # Layer by layer: what is side by side is joined for one layer at a time.
    for i in range(len(leaves[0]) if stacked else max(1, rule.copies)):
      part = [x[i] for x in leaves] if stacked else leaves
      parts = _regroup(part, len(names), rule.axis, rule.sizes)
      for name, part in zip(names, parts, strict=True):
        yield name.replace("{i}", str(i)), rule.op.to_theirs(part)
    del leaves, parts, part  # before the next leaf is read


def shapes(table: Table, like: Any) -> dict[str, tuple[int, ...]]:
  """Their name -> shape, from the shapes of our tree; no memory is used."""
  zero = np.zeros((), np.int8)
  named = trees.named(like).items()
  zeros = {n: np.broadcast_to(zero, x.shape) for n, x in named}
  return {n: x.shape for n, x in export_stream(table, zeros)}


def _names(side: str | tuple[str, ...]) -> tuple[str, ...]:
  return (side,) if isinstance(side, str) else side


def _regroup(
  parts: Sequence[Array], n: int, axis: int, sizes: tuple[int, ...] = ()
) -> list[Array]:
  """Arrays side by side on an axis, cut into n, of these sizes or equal."""
  if len(parts) == n:
    return list(parts)
  joined = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=axis)
  return np.split(joined, np.cumsum(sizes)[:-1] if sizes else n, axis=axis)


def _layers(pattern: str, theirs: Mapping[str, Array]) -> list[str]:
  """The names a pattern stands for, layer 0 first."""
  if "{i}" not in pattern:
    return [pattern]
  names = []
  while (name := pattern.replace("{i}", str(len(names)))) in theirs:
    names.append(name)
  return names


def _check_copy(rule, names, parts, theirs) -> None:
  other = _gather(rule, names, theirs, len(parts))
  if not all(map(np.array_equal, parts, other)):
    raise errors.UserError(
      f"{', '.join(names)}: not equal to that of layer 0",
      "copies of one array, as the published weights have them",
      "these weights cannot be held by this method",
      "--weights",
    )


def _check_constant(rule: Constant, value: Array) -> None:
  if value.shape != rule.value.shape:
    seen = f"shape {value.shape}, expected {rule.value.shape}"
  elif not np.allclose(value, rule.value, atol=1e-5):
    seen = f"values differ by {np.abs(value - rule.value).max():.2g}"
  else:
    return
  raise errors.UserError(
    f"{rule.theirs}: {seen}",
    "the fixed table of this architecture",
    "check image size, patch and width of the method",
    "method",
  )
