"""Checkpoints of older versions: what to do to read them.

The meta data of a checkpoint names the schema it was written by. To change what
a checkpoint holds, raise SCHEMA, add a function that turns the meta data of the
old schema into that of the new one, and keep a small checkpoint of the old one
below tests/core/checkpoints.

    schema 1   arrays: name -> [shape, dtype]
    schema 2   arrays: name -> [shape, dtype, checksum or None]; digest of meta
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

Meta = dict[str, Any]
SCHEMA = 2


def _to_2(meta: Meta) -> Meta:
  arrays = {name: [*old, None] for name, old in meta["arrays"].items()}
  return meta | {"arrays": arrays}


STEPS: Mapping[int, Callable[[Meta], Meta]] = {1: _to_2}


def up(
  meta: Meta,
  steps: Mapping[int, Callable[[Meta], Meta]] = STEPS,
  schema: int = SCHEMA,
) -> Meta:
  """The meta of any older schema as that of `schema`.

  A step that gives an array a new name leaves `saved_as`: {new name: old
  name}, for the reader; steps build on each other's.

  Args:
    meta: as read.
    steps: schema -> what makes the next one of it.
    schema: of the result.

  Raises:
    KeyError: there is no way from its schema to this one.
  """
  while meta["schema"] != schema:
    meta = steps[meta["schema"]](meta) | {"schema": meta["schema"] + 1}
  return meta
