"""Older names of keys: what a config of an older run calls something else.

A field that was renamed, or that moved into a part, says so itself (`was`);
the table of a class is read off its fields.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from jmim.core import field


class Move(NamedTuple):
  """Where the value of an older key belongs.

  Attributes:
    key: dotted key of today; "": nowhere, as only another kind of a part has
      it. (A complete config of an older run has such keys, which never acted.)
    convert: makes today's value of the older one; None: the same.
  """

  key: str
  convert: Callable[[Any], Any] | None = None


def table(cls: type, entries: Mapping[str, Any]) -> dict[str, Move]:
  """Older flat key -> where it belongs, of a documented dataclass.

  Args:
    cls: the class.
    entries: its section, which may choose the kinds of parts.
  """
  renamed: dict[str, Move] = {}
  for name, f in field.configured(cls).items():
    if "parts" in f.metadata:
      renamed |= _of_part(name, f, entries)
    else:
      older = _older(f, "")
      renamed |= {old: Move(name, make) for old, make in older.items() if old}
  return renamed


def _older(f: dataclasses.Field, default: str) -> Mapping[str, Any]:
  """Older name -> conversion or None, of one field."""
  was = f.metadata.get("was") or default
  return was if isinstance(was, Mapping) else {was: None}


def _of_part(
  name: str, part: dataclasses.Field, entries: Mapping[str, Any]
) -> dict[str, Move]:
  """Older flat keys of the fields of a part."""
  kinds, was, was_type = (
    part.metadata[key] for key in ("parts", "was", "was_type")
  )
  section = entries.get(name)
  chosen = section.get("type") if hasattr(section, "get") else None
  chosen = chosen or entries.get(was_type) or field.kind_of(kinds, part.default)
  # What the chosen kind has wins over what only others have.
  moves: dict[str, Move] = {}
  for kind in sorted(kinds, key=lambda kind: kind == chosen) if was else ():
    for key, inner in field.configured(type(kinds[kind])).items():
      there = f"{name}.{key}" if kind == chosen else ""
      for old, make in _older(inner, key).items():
        moves[was.format(old)] = Move(there, make)
  return moves | ({was_type: Move(f"{name}.type")} if was_type else {})


def moves(cls: type, entries: Mapping[str, Any]) -> dict[str, Move]:
  """Those of the older keys that a section has."""
  own = field.configured(cls)

  def older(key: str) -> bool:
    # A part may have the name that one of its values had.
    return key not in own or (
      "parts" in own[key].metadata and not hasattr(entries[key], "items")
    )

  known = table(cls, entries).items()
  return {old: move for old, move in known if old in entries and older(old)}


def current(cls: type, entries: Mapping[str, Any]) -> dict[str, Any]:
  """A section with today's names; an older one beside today's wins.

  (It comes from an override: a recipe has one or the other.)
  """
  known = moves(cls, entries)
  section = {k: v for k, v in entries.items() if k not in known}
  for old, move in known.items():
    *above, last = move.key.split(".")
    if not last:
      continue
    node = section
    for name in above:
      node[name] = dict(node.get(name, {}))
      node = node[name]
    value = entries[old]
    node[last] = move.convert(value) if move.convert else value
  return section
