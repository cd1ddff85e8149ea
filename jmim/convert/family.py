"""What a family of weights is: names, options, and which methods hold them.

A family is data: a table of names (`table`), what may stand around and beside
them in a file, and, where the library keeps a config.json, the same options in
its words. Both directions read the same description. `families` lists them.
"""

import dataclasses
import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from jmim.convert import table as tables

MAIN = "params/main/"

# What authors' checkpoints put around a state dict.
CONTAINERS = ("model.", "state_dict.", "module.", "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
  """One layout of weights.

  Attributes:
    library: "authors", "hf" (transformers, diffusers), "timm", "big_vision".
    methods: that it is for, as of `core.discovery.find`.
    table: method -> rules; our names are "params/<player>/...", "extra/...".
    containers: prefixes of their names; the first that is there is the one
      that is read, what is outside of it is listed as ignored.
    aliases: (regex, replacement) on their names: other spellings.
    ignored: regexes of their arrays that hold nothing of ours.
    optional: regexes of our leaves that their files may lack all together
      (a decoder, a head); these stay fresh.
    left_out: regexes of our leaves they have no place for; listed.
    fixed: fields of the method that the layout fixes.
    wants: other conditions on the method: None, or what is wrong.
    read_config: their config.json -> fields of the method.
    write_config: method -> their config.json.
  """

  library: str
  methods: tuple[str, ...]
  table: Callable[[Any], tables.Table]
  containers: tuple[str, ...] = CONTAINERS
  aliases: tuple[tuple[str, str], ...] = ()
  ignored: tuple[str, ...] = ()
  optional: tuple[str, ...] = ()
  left_out: tuple[str, ...] = ()
  fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  wants: Callable[[Any], str | None] = lambda method: None
  read_config: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
  write_config: Callable[[Any], dict[str, Any]] | None = None

  def objection(self, name: str, method: Any) -> str | None:
    """Why a method cannot be said in this layout; None: it can.

    Args:
      name: of the method ("mim.mae").
      method: its instance.
    """
    if name not in self.methods:
      return f"it is for {', '.join(self.methods)}"
    for field, value in self.fixed.items():
      if getattr(method, field) != value:
        return f"{field}={getattr(method, field)!r}, which is {value!r} there"
    return self.wants(method)

  def names(self, theirs: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Names as the table spells them.

    Args:
      theirs: names of a file.

    Returns:
      {table's name: name in the file} and the names outside the container.
    """
    theirs = list(theirs)
    inside = next(
      (c for c in self.containers if any(n.startswith(c) for n in theirs)), ""
    )
    found, outside = {}, []
    for name in theirs:
      if not name.startswith(inside):
        outside.append(name)
        continue
      short = name.removeprefix(inside)
      for pattern, replacement in self.aliases:
        short = re.sub(pattern, replacement, short)
      found[short] = name
    return found, outside


def matches(patterns: Iterable[str], name: str) -> bool:
  """Whether any of the regexes is found in a name."""
  return any(re.search(p, name) for p in patterns)


def main(make: Callable[[Any], tables.Table]) -> Callable[[Any], tables.Table]:
  """A table of the only player, from one with its names."""
  return lambda method: tables.placed(make(method), "", MAIN)
