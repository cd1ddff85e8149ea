"""Fields of a method, a part or an evaluator: the keys of its config section.

A field is a value, with documentation and limits; or a part, which is a frozen
dataclass with fields of its own and a sub-section of the config.
"""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from jmim.core import runtime as runtimes


def value(
  default: Any,
  doc: str,
  *,
  was: str | Mapping[str, Any] = "",
  asked: bool = False,
  unseen: bool = False,
  **limits: Any,
) -> Any:
  """A documented hyper-parameter.

  Args:
    default: its value when the config does not name it; fixes its type.
    doc: what it is, with its unit; a phrase that stands alone.
    was: an older name, which configs of older runs have (see `core.renamed`);
      or several, name -> what makes today's value of the older one, or None.
    asked: it says what is asked of weights (how they are sampled, say), not
      what they have learnt: it may differ from that of training.
    unseen: weights mean something else under another value, which no name and
      no shape among them tells: who takes those of another run compares it.
    **limits: any of choices=(...), low=, high=, above=, below=
      (inclusive, inclusive, exclusive, exclusive).
  """
  metadata = {"doc": doc, **limits} | ({"was": was} if was else {})
  metadata |= {"asked": True} if asked else {}
  metadata |= {"unseen": True} if unseen else {}
  return dataclasses.field(default=default, metadata=metadata)


def part(
  kinds: Any,
  doc: str,
  *,
  was: str = "",
  was_type: str = "",
  **defaults: Any,
) -> Any:
  """Something that several methods are made of, with fields of its own.

  Args:
    kinds: its class, or an instance, the default; or name -> such, of which
      the first is the default and the section's key `type` chooses.
    doc: what it does in this method.
    was: pattern of the flat keys that its fields used to be: "{}" if they had
      the same names beside the method's own, "decoder_{}" with that prefix.
    was_type: flat key that used to choose its kind.
    **defaults: of the fields of a class, where they differ from its own.
  """
  kinds = kinds if isinstance(kinds, Mapping) else {"": kinds}
  known = {
    name: kind(**defaults) if isinstance(kind, type) else kind
    for name, kind in kinds.items()
  }
  default = next(iter(known.values()))
  metadata = {"doc": doc, "parts": known, "was": was, "was_type": was_type}
  return dataclasses.field(default=default, metadata=metadata)


def redefault(cls: type, name: str, default: Any = None, **changes: Any) -> Any:
  """A field of a base class with another default.

  Args:
    cls: the base class.
    name: of the field.
    default: of a value.
    **changes: of the fields of a part.
  """
  known = cls.__dataclass_fields__[name]
  metadata = dict(known.metadata)
  if changes:
    default = dataclasses.replace(known.default, **changes)
    kind = kind_of(metadata["parts"], default)
    metadata["parts"] = {**metadata["parts"], kind: default}
  return dataclasses.field(default=default, metadata=metadata)


def replace(instance: Any, **changes: Any) -> Any:
  """An instance with other values; a part's may be a dict of changes to it.

  replace(method, size=8, dims={"width": 32}, noise={"times": 20})
  """
  for name, change in changes.items():
    if isinstance(change, Mapping):
      changes[name] = replace(getattr(instance, name), **change)
  return dataclasses.replace(instance, **changes)


def runtime() -> Any:
  """The field `rt` of a part that builds networks.

  A method hands its own runtime to its parts; no config names it.
  """
  return dataclasses.field(
    default=runtimes.Runtime(), repr=False, metadata={"config": False}
  )


def configured(cls: type) -> dict[str, dataclasses.Field]:
  """Name -> field of all that a config can set."""
  fields = dataclasses.fields(cls)
  return {f.name: f for f in fields if f.metadata.get("config", True)}


def unseen(part: Any) -> dict[str, Any]:
  """Name -> value of those fields of a part that no weights show."""
  fields = dataclasses.fields(part)
  return {
    f.name: getattr(part, f.name) for f in fields if f.metadata.get("unseen")
  }


def kinds(known: dataclasses.Field, owner: Any = None) -> tuple[dict, Any]:
  """(name -> default instance of each kind, the default) of a part's field.

  Args:
    known: the field.
    owner: instance whose part is the default, and that of its kind, whatever
      the class of the owner says; None: there is none.
  """
  default, found = getattr(owner, known.name, known.default), {}
  found |= known.metadata["parts"]
  return found | {kind_of(found, default): default}, default


def kind_of(known: Mapping[str, Any], instance: Any) -> str:
  """The name of the kind that a part is of.

  Args:
    known: name -> default instance, the metadata `parts` of a field.
    instance: of the class of one of them.
  """
  return next(n for n, own in known.items() if type(instance) is type(own))


def settings(instance: Any) -> dict[str, Any]:
  """All fields of an instance as a nested dict, the section of its config."""
  found = {}
  for name, field in configured(type(instance)).items():
    own = getattr(instance, name)
    known = field.metadata.get("parts")
    if known is None:
      found[name] = own
      continue
    kind = kind_of(known, own)
    found[name] = ({"type": kind} if kind else {}) | settings(own)
  return found


def documented(cls: type, default: Any = None) -> dict[str, dataclasses.Field]:
  """Dotted key -> field of every value, those of all kinds of parts too.

  The default of a field is what a config has that does not name it: of a part
  that whose owner chose it, not that of the part's class.

  Args:
    cls: of a method, a part or an evaluator.
    default: an instance, whose values are the defaults; None: those of `cls`.
  """
  found = {}
  for name, known in configured(cls).items():
    if "parts" not in known.metadata:
      found[name] = copy.copy(known)
      found[name].default = getattr(default, name, known.default)
      continue
    for kind in kinds(known, default)[0].values():
      inner = documented(type(kind), kind)
      found |= {f"{name}.{key}": f for key, f in inner.items()}
  return found


def asked(cls: type) -> set[str]:
  """Dotted keys that may differ from those of training, see `value`.

  All of a part whose class says `asked = True`: a sampler, for one.
  """
  found = set()
  for name, field in configured(cls).items():
    if field.metadata.get("asked"):
      found.add(name)
    for kind in map(type, field.metadata.get("parts", {}).values()):
      whole = getattr(kind, "asked", False)
      inner = {"type", *documented(kind)} if whole else asked(kind)
      found |= {f"{name}.{key}" for key in inner}
  return found
