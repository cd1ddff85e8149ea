"""Names of weights elsewhere and here: one table, read in both directions.

A table is a list of `Rule`s. In their names "{i}" counts layers; our leaf is
then the stack of all of them. Every array on either side must be used.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import einops
import numpy as np

from jmim.core import errors
from jmim.core import tree as trees

Array = np.ndarray


@dataclasses.dataclass(frozen=True)
class Op:
  """A change of layout and its inverse, on one (unstacked) array."""

  to_ours: Callable[[Array], Array]
  to_theirs: Callable[[Array], Array]


SAME = Op(lambda x: x, lambda x: x)
LINEAR = Op(lambda x: x.T, lambda x: x.T)  # torch [out, in], ours [in, out]


def patch_conv(channels: int) -> Op:
  """Convolution [d, c, p, p] with stride p <-> linear [(p p c), d]."""

  def to_theirs(x):
    p = round((x.shape[0] / channels) ** 0.5)
    return einops.rearrange(x, "(p q c) d -> d c p q", p=p, c=channels)

  return Op(lambda x: einops.rearrange(x, "d c p q -> (p q c) d"), to_theirs)


@dataclasses.dataclass(frozen=True)
class Rule:
  """Their name, our leaf name, and the change of layout between them."""

  theirs: str
  ours: str
  op: Op = SAME


@dataclasses.dataclass(frozen=True)
class Constant:
  """An array they store and we compute: checked on the way in."""

  theirs: str
  value: Array
  tolerance: float = 1e-5


Table = Sequence[Rule | Constant]


def import_tree(table: Table, theirs: Mapping[str, Array]) -> dict[str, Any]:
  """Their arrays as our nested dict of numpy arrays.

  Raises:
    UserError: a name missing or left over, or a constant that differs.
  """
  used, missing, ours = set(), [], {}
  for rule in table:
    names = _layers(rule.theirs, theirs)
    if not names or names[0] not in theirs:
      missing.append(rule.theirs)
      continue
    used.update(names)
    if isinstance(rule, Constant):
      _check_constant(rule, theirs[rule.theirs])
      continue
    arrays = [np.asarray(rule.op.to_ours(theirs[n])) for n in names]
    stacked = "{i}" in rule.theirs
    _set(ours, rule.ours, np.stack(arrays) if stacked else arrays[0])
  left = sorted(set(theirs) - used)
  if missing or left:
    raise errors.UserError(
      f"weights lack {missing[:8]} and have unknown {left[:8]}",
      f"exactly the {len(table)} names of this family",
      "choose the family the weights come from", "--from",
    )  # fmt: skip
  return ours


def export_tree(
  table: Table, ours: Any, constants: bool = True
) -> dict[str, Array]:
  """Our tree under their names (works for gradients too, without constants).

  Raises:
    UserError: a leaf no rule names, or a rule without its leaf.
  """
  named, found, used = trees.named(ours), {}, set()
  for rule in table:
    if isinstance(rule, Constant):
      if constants:
        found[rule.theirs] = rule.value
      continue
    if rule.ours not in named:
      continue
    used.add(rule.ours)
    array = np.asarray(named[rule.ours])
    if "{i}" not in rule.theirs:
      found[rule.theirs] = rule.op.to_theirs(array)
      continue
    for i, layer in enumerate(array):
      found[rule.theirs.replace("{i}", str(i))] = rule.op.to_theirs(layer)
  wanted = {rule.ours for rule in table if isinstance(rule, Rule)}
  if set(named) != used or wanted != used:
    wrong = sorted((set(named) | wanted) - used)
    raise errors.UserError(
      f"no counterpart for {wrong[:8]}", "a model of this family",
      "choose the family of the model", "--format",
    )  # fmt: skip
  return found


def _layers(pattern: str, theirs: Mapping[str, Array]) -> list[str]:
  """The names a pattern stands for, layer 0 first."""
  if "{i}" not in pattern:
    return [pattern]
  names = []
  while (name := pattern.replace("{i}", str(len(names)))) in theirs:
    names.append(name)
  return names


def _check_constant(rule: Constant, value: Array) -> None:
  if value.shape != rule.value.shape:
    seen = f"shape {value.shape}, expected {rule.value.shape}"
  elif not np.allclose(value, rule.value, atol=rule.tolerance):
    seen = f"values differ by {np.abs(value - rule.value).max():.2g}"
  else:
    return
  raise errors.UserError(
    f"{rule.theirs}: {seen}", "the fixed table of this architecture",
    "check image size, patch and width of the method", "method",
  )  # fmt: skip


def _set(tree: dict[str, Any], name: str, value: Array) -> None:
  *path, last = name.split("/")
  for part in path:
    tree = tree.setdefault(part, {})
  tree[last] = value
