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
    for name, wanted in self.like.items():
      if 0 in wanted.shape:  # a stack without layers: nothing of it is stored
        yield name, None, np.zeros(wanted.shape, wanted.dtype)
    for name, layer, array in tables.import_pieces(
      self.table, self.weights, most
    ):
      wanted = self.like[name]
      if name in self.resized:
        array = resize(array.astype(wanted.dtype), wanted.shape)
      yield name, layer, array.astype(wanted.dtype, copy=False)
      del array  # before the next one is made

  def lines(self) -> list[str]:
    """What to tell the user about names that had no partner."""
    found = [f"ignored: {n}" for n in self.ignored]
    found += [f"stays fresh: {n}" for n in self.fresh]
    return found + [f"resized: {n}" for n in self.resized]


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
    method: whose parameters are filled.
    weights: the file.
    like: shapes of {"params": ..., "extra": ...} of the method.
    resize_positions: resize learned positions of another grid; fixed ones of
      another grid are then not compared.
    ignore: more regexes of their names that are not wanted.

  Raises:
    UserError: names or shapes that differ; all of them are listed.
  """
  short, ignored = family.names(weights)
  named = {
    n: x
    for n, x in trees.named(like).items()
    if not families.matches(family.left_out, n)
  }
  read = [r for r in family.table(method) if not getattr(r, "unused", False)]
  table, fresh = _without_optional(family, read, short)
  fresh += [n for n in trees.named(like) if n not in named]
  here = {n: x for n, x in named.items() if n not in fresh}
  tables.check_export(table, here)
  wanted = tables.shapes(table, here)
  patterns = (*family.ignored, *ignore)
  skipped = [
    n for n in short if n not in wanted and families.matches(patterns, n)
  ]
  ignored = sorted(ignored + [short.pop(n) for n in skipped])
  found = {n: weights.shape(o) for n, o in short.items()}
  resized, table = [], list(table)
  if resize_positions:
    table, resized = _resizable(table, here, wanted, found)
    gone = {r.theirs for r in family.table(method)} - {r.theirs for r in table}
    dropped = [n for n in gone if n in short and n in wanted]
    ignored += [short.pop(n) for n in dropped]
    for name in dropped:
      wanted.pop(name), found.pop(name)
  lines = _differences(wanted, found, short)
  if lines:
    raise errors.UserError(
      f"{weights.where} does not fit:{errors.listed(lines)}",
      f"the {len(wanted)} names and shapes of this family and config",
      "check --from and the sizes in --config; --resize takes positions of "
      "another grid, --ignore=REGEX leaves arrays out",
      "--from",
    )
  return Plan(
    table=table,
    weights=weights.renamed(short),
    like=here,
    ignored=ignored,
    fresh=fresh,
    resized=resized,
  )


def _without_optional(family, table, short):
  """(table, our leaves) without the parts the file lacks as a whole."""
  gone = []
  for pattern in family.optional:
    part = [r for r in table if families.matches([pattern], _first(r.ours))]
    firsts = [_first(r.theirs).replace("{i}", "0") for r in part]
    if not any(n in short for n in firsts):
      gone += part
  fresh = [
    n
    for r in gone
    if isinstance(r, tables.Rule)
    for n in ([r.ours] if isinstance(r.ours, str) else r.ours)
  ]
  return [r for r in table if not any(r is g for g in gone)], fresh


def _first(side: str | tuple[str, ...]) -> str:
  return side if isinstance(side, str) else side[0]


def _differences(wanted, found, short) -> list[str]:
  lines = [f"missing: {n} {s}" for n, s in wanted.items() if n not in found]
  lines += [
    f"unknown: {short[n]} {s}" for n, s in found.items() if n not in wanted
  ]
  for name, shape in wanted.items():
    if name in found and found[name] != shape:
      turned = " (transposed)" * (found[name] == shape[::-1])
      lines.append(
        f"shape of {short[name]}: {found[name]}, wanted {shape}{turned}"
      )
  return lines


def _resizable(table, here, wanted, found):
  """(table without fixed positions of another grid, our learned ones)."""
  resized, kept = [], []
  for rule in table:
    name = rule.theirs
    other = name in wanted and name in found and wanted[name] != found[name]
    if other and isinstance(rule, tables.Constant):
      continue
    kept.append(rule)
    if other and str(rule.ours).endswith(POSITIONS):
      resized.append(rule.ours)
      wanted[name] = found[name]
  return kept, resized


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
  found: dict[str, jax.Array] = {}
  writers: dict[str, Any] = {}
  for name, layer, array in pieces:
    where = shardings[name]
    if layer is None:
      found[name] = _put(array, where)
    else:
      if name not in found:
        writers[name] = _writer(where)
        zeros = functools.partial(jnp.zeros, like[name].shape, like[name].dtype)
        found[name] = jax.jit(zeros, out_shardings=where)()
      row = jax.NamedSharding(where.mesh, jax.P(*where.spec[1:]))
      found[name] = writers[name](found[name], _put(array, row), layer)
    found[name].block_until_ready()
    del array
  return found


def _put(array: np.ndarray, where: jax.sharding.NamedSharding) -> jax.Array:
  return jax.make_array_from_callback(
    array.shape, where, lambda index: array[index]
  )


def _writer(where: jax.sharding.NamedSharding):
  """(stack, layer, i) -> the same stack with it as layer i, in place."""
  write = lambda stack, layer, i: stack.at[i].set(layer)
  return jax.jit(write, donate_argnums=0, out_shardings=where)
