"""Older names of keys: what a config of an older run calls something else.

A field that was renamed, or that moved into a part, says so itself (`was`);
the table of a class is read off its fields.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jmim.core import field


def table(cls: type, entries: Mapping[str, Any]) -> dict[str, str]:
  """Older flat key -> dotted key, of a documented dataclass.

  Args:
    cls: the class.
    entries: its section, which may choose the kinds of parts. A key that only
      another kind has leads to "": a complete config of an older run has it,
      and it never acted.
  """
  renamed: dict[str, str] = {}
  for name, f in field.configured(cls).items():
    if "parts" in f.metadata:
      renamed |= _of_part(name, f, entries)
    elif f.metadata.get("was"):
      renamed[f.metadata["was"]] = name
  return renamed


def _of_part(
  name: str, part: dataclasses.Field, entries: Mapping[str, Any]
) -> dict[str, str]:
  """Older flat keys of the fields of a part."""
  kinds, was, was_type = (
    part.metadata[key] for key in ("parts", "was", "was_type")
  )
  section = entries.get(name)
  chosen = section.get("type") if hasattr(section, "get") else None
  chosen = chosen or entries.get(was_type) or field.kind_of(kinds, part.default)
  # What the chosen kind has wins over what only others have.
  ordered = sorted(kinds, key=lambda kind: kind == chosen)
  found = {}
  for kind in ordered if was else ():
    for key, inner in field.configured(type(kinds[kind])).items():
      old = was.format(inner.metadata.get("was") or key)
      found[old] = f"{name}.{key}" if kind == chosen else ""
  return found | ({was_type: f"{name}.type"} if was_type else {})


def moves(cls: type, entries: Mapping[str, Any]) -> dict[str, str]:
  """Those of the older keys that a section has: older key -> dotted key."""
  own = field.configured(cls)

  def older(key: str) -> bool:
    # A part may have the name that one of its values had.
    return key not in own or (
      "parts" in own[key].metadata and not hasattr(entries[key], "items")
    )

  known = table(cls, entries).items()
  return {old: new for old, new in known if old in entries and older(old)}


def current(cls: type, entries: Mapping[str, Any]) -> dict[str, Any]:
  """A section with today's names; an older one beside today's wins.

  (It comes from an override: a recipe has one or the other.)
  """
  known = moves(cls, entries)
  section = {k: v for k, v in entries.items() if k not in known}
  for old, new in known.items():
    *above, last = new.split(".")
    if not last:
      continue
    node = section
    for name in above:
      node[name] = dict(node.get(name, {}))
      node = node[name]
    node[last] = entries[old]
  return section
