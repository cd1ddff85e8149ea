"""Reads one checkpoint folder, and finds out whether it is as it was saved.

Three things are checked: the sizes of its files, a digest of its meta data,
and a checksum of every array after it was read.
"""

import contextlib
import json
import pathlib
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import orbax.checkpoint as ocp

from jmim.checkpoints import checksum
from jmim.checkpoints import manager
from jmim.checkpoints import migrate
from jmim.core import errors
from jmim.core import files
from jmim.core import tree as trees
from jmim.core import version

SIZES = "sizes.json"  # in each checkpoint, once it is complete
# What is raised for files that are missing or damaged.
_BROKEN = (ValueError, LookupError, OSError, TypeError, AttributeError)


def meta(where: pathlib.Path) -> dict[str, Any]:
  """The meta data of a checkpoint, in today's schema; see `metadata`.

  Raises:
    UserError: of a schema that this version does not know.
    Damaged: unreadable, or of another step than its name says.
  """
  # Before Orbax sees them: from each array that it cannot read it prints a
  # screen of its own.
  check_sizes(where)
  try:
    stored = json.loads(
      (where / "meta" / "metadata").read_text(encoding="utf-8")
    )
    checksum_then, schema = stored.pop("digest", None), stored["schema"]
    if (checksum_then or schema > 1) and checksum_then != digest(stored):
      raise ValueError("the digest of its meta data is another")
    if str(stored.get("step", where.name)) != where.name:
      raise ValueError(f"renamed: it is of step {stored['step']}")
  except _BROKEN as e:
    raise damaged(where, e) from e
  if schema not in {*migrate.STEPS, migrate.SCHEMA}:
    raise errors.UserError(
      f"{where} has schema {schema}",
      f"schema {migrate.SCHEMA} or older",
      "read it with the version of jmim that wrote it",
      "--workdir",
    )
  return migrate.up(stored)


def metadata(
  named: Mapping[str, Any], more: Mapping[str, Any]
) -> dict[str, Any]:
  """Meta data of arrays by name: shapes, dtypes, checksums, and `more`."""
  sums = checksum.of(named)
  arrays = {n: [list(x.shape), str(x.dtype), sums[n]] for n, x in named.items()}
  data = {"schema": migrate.SCHEMA, "git": version.git_id(), "arrays": arrays}
  data |= more
  return data | {"digest": digest(data)}


def digest(meta: Mapping[str, Any]) -> str:
  """Checksum of meta data, whatever the order of its keys."""
  text = json.dumps(meta, sort_keys=True)
  return f"{zlib.crc32(text.encode()):08x}"


def arrays(where: pathlib.Path, specs: Mapping[str, Any]) -> dict[str, Any]:
  """Name -> array, of some of the arrays of a checkpoint.

  Args:
    where: folder of the checkpoint.
    specs: name -> shape and dtype of those to read; with a sharding the array
      is put on the devices, without one it stays in memory.

  Raises:
    Damaged: Orbax cannot read it.
    UserError: as `manager.Link`.
  """
  try:
    # Not through a Checkpointer: it would wait for the other hosts, of which
    # one may find damage and never come.
    handler = ocp.PyTreeCheckpointHandler()
    with contextlib.closing(handler), manager.Link(where / "state") as place:
      shape = handler.metadata(place).tree
      like = trees.map_named(lambda n, x: specs.get(n, ocp.PLACEHOLDER), shape)
      how = trees.map_named(lambda n, x: _how(specs.get(n)), shape)
      args = ocp.args.PyTreeRestore(item=like, restore_args=how)
      everything = trees.named(handler.restore(place, args=args))
    return {name: everything[name] for name in specs}
  except errors.UserError:  # which is a ValueError
    raise
  except Exception as e:
    # Orbax raises a bare Exception where the file of an array is broken.
    if type(e) is Exception or isinstance(e, _BROKEN):
      raise damaged(where, e) from e
    raise


def _how(leaf: Any) -> ocp.RestoreArgs:
  if getattr(leaf, "sharding", None) is None:
    return ocp.RestoreArgs(restore_type=np.ndarray)
  return ocp.ArrayRestoreArgs(
    sharding=leaf.sharding, global_shape=leaf.shape, dtype=leaf.dtype
  )


def check_sums(
  where: pathlib.Path, saved: Mapping[str, Any], sums: Mapping[str, int]
) -> None:
  """Raises Damaged if an array is not as it was when it was saved.

  Args:
    where: folder of the checkpoint.
    saved: name -> [shape, dtype, checksum]; None, of a schema without
      checksums, passes.
    sums: name -> checksum now.
  """
  wrong = [n for n, x in sums.items() if saved[n][2] not in (None, x)]
  if wrong:
    more = f" and of {len(wrong) - 1} more" * (len(wrong) > 1)
    text = f"another checksum of {wrong[0]}{more}"
    raise damaged(where, ValueError(text))


def write_sizes(where: pathlib.Path) -> None:
  """Writes the sizes of all files into a complete checkpoint; OSError."""
  if not (where / SIZES).exists():
    files.replace(where / SIZES, json.dumps(_sizes(where)))


def _sizes(where: pathlib.Path) -> dict[str, int]:
  """Path below the folder -> bytes, of all files in it."""
  paths = [p for p in where.rglob("*") if p.is_file()]
  return {str(p.relative_to(where)): p.stat().st_size for p in paths}


def check_sizes(where: pathlib.Path) -> None:
  """Raises Damaged if a file is gone or has another size than when saved.

  A run that was killed may not have written them, and that file may be what
  is damaged: then the digest and the checksums decide.
  """
  try:
    before = dict(json.loads((where / SIZES).read_text(encoding="utf-8")))
  except (FileNotFoundError, ValueError, TypeError):
    return
  now = _sizes(where)
  for name, size in before.items():
    if now.get(name) != size:
      text = f"{now[name]} bytes" if name in now else "gone"
      raise damaged(where, OSError(f"{name} is {text}, was {size} bytes"))


def damaged(where: pathlib.Path, error: Exception) -> errors.Damaged:
  """The error for a checkpoint that is not as it was saved."""
  return errors.Damaged(
    f"{where} cannot be read ({errors.first_line(error)})",
    "a complete checkpoint",
    f"delete {where} to resume from the one before, or use another --workdir",
    "--workdir",
  )
