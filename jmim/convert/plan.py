"""Their file onto our parameters: what goes where, checked before it is read.

Names and shapes are compared first; every difference is listed in one error.
Then leaves come one at a time, cast to our type, onto whatever placement the
caller chooses.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmim.checkpoints import positions
from jmim.convert import family as families
from jmim.convert import files
from jmim.convert import table as tables
from jmim.core import errors
from jmim.core import tree as trees

POSITIONS = "pos_embed"
LAYERED = 1 << 26  # stacks of more bytes go to the devices layer by layer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
  """An import whose names and shapes agree.

  Attributes:
    table: the rules that apply.
    weights: their arrays, under the names of the table.
    like: our leaf name -> shape and type, of what is imported.
    ignored: their names that hold nothing of ours.
    fresh: our leaves that they do not have.
    resized: our position tables that come from another grid.
  """

  table: tables.Table
  weights: files.Weights
  like: dict[str, Any]
  ignored: list[str]
  fresh: list[str]
  resized: list[str]

  def leaves(self) -> Iterator[tuple[str, np.ndarray]]:
    """(our leaf name, array in our type), one at a time."""
    for name, _, array in self.pieces(math.inf):
      yield name, array
      del array  # before the next one is made

  def pieces(
    self, most: float = LAYERED
  ) -> Iterator[tuple[str, int | None, np.ndarray]]:
    """(our leaf name, layer, array), see `table.import_pieces`."""
    for name, leaf in self.like.items():
      if 0 in leaf.shape:  # a stack without layers: nothing of it is stored
        yield name, None, np.zeros(leaf.shape, leaf.dtype)
    for name, layer, array in tables.import_pieces(
      self.table, self.weights, most
    ):
      leaf = self.like[name]
      if name in self.resized:
        array = resize(array.astype(leaf.dtype), leaf.shape)
      yield name, layer, array.astype(leaf.dtype, copy=False)
      del array  # before the next one is made

  def lines(self) -> list[str]:
    """What to tell the user about names that had no partner."""
    lines = [f"ignored: {n}" for n in self.ignored]
    lines += [f"stays fresh: {n}" for n in self.fresh]
    return lines + [f"resized: {n}" for n in self.resized]


def make(
  family: families.Family,
  method: Any,
  weights: files.Weights,
  like: Any,
  resize_positions: bool = False,
  ignore: Sequence[str] = (),
) -> Plan:
  """Matches a file with a method.

  Args:
    family: layout of the file.
    method: its parameters are filled.
    weights: the file.
    like: shapes of {"params": ..., "extra": ...} of the method.
    resize_positions: resize learned positions of another grid; fixed ones of
      another grid are then not compared.
    ignore: more regexes of their names to leave out.

  Raises:
    UserError: names or shapes that differ; all of them are listed.
  """
  short, outside = family.names(weights)
  rules, here, fresh = _applicable(family, method, short, trees.named(like))
  tables.check_export(rules, here)
  expected = tables.shapes(rules, here)
  patterns = (*family.ignored, *ignore)
  ignored = outside + [
    short.pop(n)
    for n in list(short)
    if n not in expected and families.matches(patterns, n)
  ]
  ignored.sort()
  stored = {n: weights.shape(o) for n, o in short.items()}
  resized: list[str] = []
  if resize_positions:
    rules, dropped, resized = _resizable(rules, expected, stored)
    for name in dropped:
      del expected[name], stored[name]
      ignored.append(short.pop(name))
  lines = _differences(expected, stored, short)
  if lines:
    raise errors.UserError(
      f"{weights.where} does not fit:{errors.listed(lines)}",
      f"the {len(expected)} names and shapes of this family and config",
      "check --from and the sizes in --config; --resize takes positions of "
      "another grid, --ignore=REGEX leaves arrays out",
      "--from",
    )
  return Plan(
    table=rules,
    weights=weights.renamed(short),
    like=here,
    ignored=ignored,
    fresh=fresh,
    resized=resized,
  )


def _applicable(family, method, short, named):
  """(rules, {our leaf: its shape}, our other leaves) that a file can fill.

  Without what the family has no place for, and without its optional parts that
  the file lacks as a whole.
  """
  rules = [r for r in family.table(method) if not getattr(r, "unused", False)]
  lacking = []
  for pattern in family.optional:
    part = [r for r in rules if families.matches([pattern], _first(r.ours))]
    firsts = [_first(r.theirs).replace("{i}", "0") for r in part]
    if not any(n in short for n in firsts):
      lacking += part
  fresh = [n for r in lacking if isinstance(r, tables.Rule) for n in _ours(r)]
  fresh += [n for n in named if families.matches(family.unsupported, n)]
  here = {n: x for n, x in named.items() if n not in fresh}
  return [r for r in rules if not any(r is x for x in lacking)], here, fresh


def _ours(rule: tables.Rule) -> tuple[str, ...]:
  return (rule.ours,) if isinstance(rule.ours, str) else rule.ours


def _first(side: str | tuple[str, ...]) -> str:
  return side if isinstance(side, str) else side[0]


def _differences(expected, stored, short) -> list[str]:
  """A line for each name or shape that differs."""
  lines = [f"missing: {n} {s}" for n, s in expected.items() if n not in stored]
  lines += [
    f"unknown: {short[n]} {s}" for n, s in stored.items() if n not in expected
  ]
  for name, shape in expected.items():
    if name in stored and stored[name] != shape:
      transposed = " (transposed)" * (stored[name] == shape[::-1])
      lines.append(
        f"shape of {short[name]}: {stored[name]}, expected {shape}{transposed}"
      )
  return lines


def _resizable(rules, expected, stored):
  """(other rules, names of fixed positions of another grid, learned ones).

  The shapes that are expected of the learned ones become those stored.
  """
  kept, dropped, resized = [], [], []
  for rule in rules:
    name = rule.theirs
    other = (
      name in expected and name in stored and expected[name] != stored[name]
    )
    if other and isinstance(rule, tables.Constant):
      dropped.append(name)
      continue
    kept.append(rule)
    if other and str(rule.ours).endswith(POSITIONS):
      resized.append(rule.ours)
      expected[name] = stored[name]
  return kept, dropped, resized


def resize(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """`positions.resize`; raises UserError where that cannot be done."""
  try:
    return positions.resize(value, shape)
  except ValueError as e:
    raise errors.UserError(
      f"positions {e}",
      "square grids, equally wide, with the same tokens before the patches",
      "use a config of another size",
      "--resize",
    ) from e


def place(
  pieces: Iterator[tuple[str, int | None, np.ndarray]],
  like: Mapping[str, Any],
  shardings: Mapping[str, jax.sharding.NamedSharding],
) -> dict[str, jax.Array]:
  """Leaves on the devices, by name; one piece at a time is on the host.

  Args:
    pieces: (leaf name, layer, array), see `Plan.pieces`.
    like: leaf name -> its shape and type.
    shardings: leaf name -> where it lives.
  """
  placed: dict[str, jax.Array] = {}
  writers: dict[str, Any] = {}
  for name, layer, array in pieces:
    where = shardings[name]
    if layer is None:
      placed[name] = _put(array, where)
    else:
      if name not in placed:
        writers[name] = _writer(where)
        zeros = functools.partial(jnp.zeros, like[name].shape, like[name].dtype)
        placed[name] = jax.jit(zeros, out_shardings=where)()
      row = jax.NamedSharding(where.mesh, jax.P(*where.spec[1:]))
      placed[name] = writers[name](placed[name], _put(array, row), layer)
    placed[name].block_until_ready()
    del array
  return placed


def _put(array: np.ndarray, where: jax.sharding.NamedSharding) -> jax.Array:
  return jax.make_array_from_callback(
    array.shape, where, lambda index: array[index]
  )


def _writer(where: jax.sharding.NamedSharding):
  """(stack, layer, i) -> the same stack with it as layer i, in place."""
  write = lambda stack, layer, i: stack.at[i].set(layer)
  return jax.jit(write, donate_argnums=0, out_shardings=where)
