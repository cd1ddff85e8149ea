"""What a family of weights is: names, options, and which methods hold them.

A family is data: a table of names (`table`), what may stand around and beside
them in a file, and, where the library keeps a config.json, the same options in
its words. Both directions read the same description. Each file of
`convert.tables` ends with its families; `families` finds them.
"""

import dataclasses
import operator
import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from jmim.convert import table as tables

MAIN = "params/main/"

# Regexes of leaves that many files lack.
HEAD, DECODER = (f"^{MAIN}head/",), (f"^{MAIN}decoder/",)
# What authors' checkpoints put around a state dict.
CONTAINERS = ("model.", "state_dict.", "module.", "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
  """One layout of weights.

  Attributes:
    library: "authors", "hf" (transformers, diffusers), "timm", "big_vision".
    methods: methods that hold it, as `core.discovery.find` takes them.
    table: method -> rules; our names are "params/<player>/...", "extra/...".
    containers: prefixes of their names; the first that is there is the one
      that is read, what is outside of it is listed as ignored.
    aliases: (regex, replacement) on their names: other spellings.
    ignored: regexes of their arrays that hold nothing of ours.
    optional: regexes of our leaves that their files may lack all together
      (a decoder, a head); these stay fresh.
    unsupported: regexes of our leaves they have no place for; listed.
    beside: those of them without which outputs are others: an export keeps
      them in a file of its own, with our names, and is read with them.
    more: method -> other files of settings, by name.
    notes: what is to be told of an export.
    fixed: fields of the method that the layout fixes, by dotted name.
    check: other conditions: method -> None, or what is wrong.
    images: whether the preprocessing of images beside it is its own.
    read_config: their config.json -> fields of the method.
    write_config: method -> their config.json.
    resized: (fields of the method, another image side) -> fields for images of
      that side, where the library takes them; None: it takes none.
    architectures: entries of `architectures` in a config.json that detect it;
      they tell more than
    model_types: values of `model_type` or `_class_name` that detect it.
    timm_names: first words of timm's `architecture` that detect it.
    file: of the weights in an exported folder.
    priority: exports take the fitting family with the highest, where one is a
      special case of another.
  """

  library: str
  methods: tuple[str, ...]
  table: Callable[[Any], tables.Table]
  containers: tuple[str, ...] = CONTAINERS
  aliases: tuple[tuple[str, str], ...] = ()
  ignored: tuple[str, ...] = ()
  optional: tuple[str, ...] = ()
  unsupported: tuple[str, ...] = ()
  beside: tuple[str, ...] = ()
  more: Callable[[Any], dict[str, dict[str, Any]]] = lambda method: {}
  notes: tuple[str, ...] = ()
  fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  check: Callable[[Any], str | None] = lambda method: None
  images: bool = True
  read_config: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
  write_config: Callable[[Any], dict[str, Any]] | None = None
  resized: Callable[[Mapping[str, Any], int], dict[str, Any]] | None = None
  architectures: tuple[str, ...] = ()
  model_types: tuple[str, ...] = ()
  timm_names: tuple[str, ...] = ()
  file: str = "model.safetensors"
  priority: int = 0

  def objection(self, name: str, method: Any) -> str | None:
    """Why a method does not fit this layout; None: it does.

    Args:
      name: of the method ("mim.mae").
      method: its instance.
    """
    if name not in self.methods:
      return f"it is for {', '.join(self.methods)}"
    for field, expected in self.fixed.items():
      value = operator.attrgetter(field)(method)
      if value != expected:
        return f"{field}={value!r}, which is {expected!r} there"
    return self.check(method)

  def names(self, theirs: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Names as the table spells them.

    Args:
      theirs: names of a file.

    Returns:
      {table's name: name in the file} and the names outside the container.
    """
    theirs = list(theirs)
    container = next(
      (c for c in self.containers if any(n.startswith(c) for n in theirs)), ""
    )
    inside, outside = {}, []
    for name in theirs:
      if not name.startswith(container):
        outside.append(name)
        continue
      short = name.removeprefix(container)
      for pattern, replacement in self.aliases:
        short = re.sub(pattern, replacement, short)
      inside[short] = name
    return inside, outside


def matches(patterns: Iterable[str], name: str) -> bool:
  """Whether any of the regexes is found in a name."""
  return any(re.search(p, name) for p in patterns)


def hf_prefix(name: str, *more: str) -> tuple[str, str]:
  """The alias of a bare model of Transformers, whose names lack "<name>.".

  Args:
    name: that a model with a head puts before the names of the bare one.
    more: parts of the model besides embeddings, encoder and layernorm.
  """
  parts = "|".join(("embeddings", "encoder", "layernorm", *more))
  return rf"^({parts})\.", rf"{name}.\1."


def main(make: Callable[[Any], tables.Table]) -> Callable[[Any], tables.Table]:
  """A table of the only player, from one with its names."""
  return lambda method: tables.placed(make(method), "", MAIN)
