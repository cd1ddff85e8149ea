"""Fields of a method, a part or an evaluator: the keys of its config section.

A field is a value with documentation and limits; its default fixes its type.
"""

import dataclasses
from typing import Any


def value(default: Any, doc: str, **limits: Any) -> Any:
  """A documented hyper-parameter.

  Args:
    default: its value when the config does not name it; fixes its type.
    doc: what it is, with its unit.
    **limits: any of choices=(...), low=, high=, above=, below=
      (inclusive, inclusive, exclusive, exclusive).
  """
  return dataclasses.field(default=default, metadata={"doc": doc, **limits})


def redefault(cls: type, name: str, default: Any) -> Any:
  """A field of a base class with another default."""
  known = cls.__dataclass_fields__[name]
  return dataclasses.field(default=default, metadata=known.metadata)
