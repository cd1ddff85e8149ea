"""Entries of what an output gave, of a method or of a procedure."""

from collections.abc import Mapping
from typing import Any

from jmim.core import errors


def entry(out: Any, name: str, makes: str) -> Any:
  """The entry that an evaluator always looks at.

  Args:
    out: what was given.
    name: of the entry.
    makes: an output that has it, for the message.

  Raises:
    UserError: `predict` names an output without it.
  """
  if isinstance(out, Mapping) and name in out:
    return out[name]
  raise errors.UserError(
    f"evals.<name>.predict names an output of {_there(out)}",
    f"a dict with {name}",
    f"name another output ({makes})",
    "evals.<name>.predict",
  )


def named(out: Any, name: str, key: str, other: str = "") -> Any:
  """The entry that a key of the config names.

  Args:
    out: what was given.
    name: of the entry; "": all of an output that is one array.
    key: of the evaluator, which names it.
    other: what it may name besides, for the message.

  Raises:
    UserError: there is no such entry.
  """
  single = not isinstance(out, Mapping)
  if single and not name:
    return out
  if not single and name in out:
    return out[name]
  known = (
    "'', as the output is one array" if single else f"one of {_there(out)}"
  )
  raise errors.UserError(
    f"evals.<name>.{key}={name!r}",
    f"{known}, or {other}" if other else known,
    "correct the name",
    f"evals.<name>.{key}",
  )


def _there(out: Any) -> str:
  """Names of the entries, for a message."""
  return ", ".join(out) if isinstance(out, Mapping) else "one array"
