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
  """Their name, our leaf name, and the change of layout between them.

  Either may be a tuple of names: arrays of equal size that stand side by side
  on the last axis (of our layout) of what the other side holds as one.
  """

  theirs: str | tuple[str, ...]
  ours: str | tuple[str, ...]
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
    layers = [_layers(name, theirs) for name in _names(rule.theirs)]
    names = [name for found in layers for name in found]
    if not names or _lacking(names, theirs) or len(set(map(len, layers))) > 1:
      missing += _names(rule.theirs)
      continue
    used.update(names)
    if isinstance(rule, Constant):
      _check_constant(rule, theirs[rule.theirs])
      continue
    parts = []
    for found in layers:
      arrays = [np.asarray(rule.op.to_ours(theirs[n])) for n in found]
      stacked = "{i}" in _names(rule.theirs)[0]
      parts.append(np.stack(arrays) if stacked else arrays[0])
    own = _names(rule.ours)
    ours.update(zip(own, _regroup(parts, len(own)), strict=True))
  left = sorted(set(theirs) - used)
  if missing or left:
    raise errors.UserError(
      f"weights lack {missing[:8]} and have unknown {left[:8]}",
      f"exactly the {len(table)} names of this family",
      "choose the family the weights come from", "--from",
    )  # fmt: skip
  return trees.nested(ours)


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
    own, names = _names(rule.ours), _names(rule.theirs)
    if _lacking(own, named):
      continue
    used.update(own)
    parts = _regroup([np.asarray(named[n]) for n in own], len(names))
    for name, array in zip(names, parts, strict=True):
      if "{i}" not in name:
        found[name] = rule.op.to_theirs(array)
        continue
      for i, layer in enumerate(array):
        found[name.replace("{i}", str(i))] = rule.op.to_theirs(layer)
  rules = [rule for rule in table if isinstance(rule, Rule)]
  wanted = {name for rule in rules for name in _names(rule.ours)}
  if set(named) != used or wanted != used:
    wrong = sorted((set(named) | wanted) - used)
    raise errors.UserError(
      f"no counterpart for {wrong[:8]}", "a model of this family",
      "choose the family of the model", "--format",
    )  # fmt: skip
  return found


def _lacking(names: Sequence[str], arrays: Mapping[str, Any]) -> list[str]:
  """Those of `names` that `arrays` has not."""
  return [name for name in names if name not in arrays]


def _names(side: str | tuple[str, ...]) -> tuple[str, ...]:
  return (side,) if isinstance(side, str) else side


def _regroup(parts: Sequence[Array], n: int) -> list[Array]:
  """Arrays side by side on the last axis, cut into n equal ones."""
  if len(parts) == n:
    return list(parts)
  return np.split(np.concatenate(parts, axis=-1), n, axis=-1)


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
