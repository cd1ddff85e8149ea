"""Older names of keys: what a config of an older run calls something else.

A field that was renamed, or that moved into a part, says so itself (`was`);
the table of a class is read off its fields.
"""

from collections.abc import Mapping
from typing import Any

from jmim.core import field


def table(cls: type) -> dict[str, str]:
  """Older flat key -> dotted key, of a documented dataclass."""
  own = field.configured(cls)
  found = {}
  for name, f in own.items():
    was = f.metadata.get("was")
    kinds = f.metadata.get("parts")
    if kinds is None:
      found |= {was: name} if was else {}
      continue
    if f.metadata["was_type"]:
      found[f.metadata["was_type"]] = f"{name}.type"
    for kind in kinds.values() if was else ():
      for key, inner in field.configured(kind).items():
        old = was.format(inner.metadata.get("was") or key)
        found[old] = f"{name}.{key}"
  return {old: new for old, new in found.items() if old not in own}


def moves(cls: type, entries: Mapping[str, Any]) -> dict[str, str]:
  """Those of the older keys that a section has: older key -> dotted key."""
  return {old: new for old, new in table(cls).items() if old in entries}


def current(cls: type, entries: Mapping[str, Any]) -> dict[str, Any]:
  """A section with today's names; an older one beside today's wins.

  (It comes from an override: a recipe has one or the other.)
  """
  known = moves(cls, entries)
  found = {k: v for k, v in entries.items() if k not in known}
  for old, new in known.items():
    *above, last = new.split(".")
    node = found
    for section in above:
      node[section] = dict(node.get(section, {}))
      node = node[section]
    node[last] = entries[old]
  return found
