"""Arguments of a recipe that are one of a few names."""

from collections.abc import Iterable
from typing import Any

import ml_collections

from jmim.core import errors


def check(
  arg: ml_collections.ConfigDict,
  fix: str = "name one of them",
  /,
  **known: Iterable[Any],
) -> None:
  """Raises for an argument that is none of those known.

  `choices.check(arg, stage=STAGES)` stands behind the `configs.parse_arg` of a
  recipe; what a class of the config checks needs none.

  Args:
    arg: of `configs.parse_arg`.
    fix: what to do about it.
    **known: name -> its values, or a mapping from them.

  Raises:
    UserError: naming the first that is wrong, and what could be given.
  """
  for name, values in known.items():
    if arg[name] not in (values := list(values)):
      *rest, last = map(str, values)
      expected = f"{', '.join(rest)} or {last}" if rest else last
      raise errors.UserError(f"{name}={arg[name]}", expected, fix, "--config")
