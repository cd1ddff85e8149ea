"""Arguments of a recipe that its config does not check."""

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


def at_least(arg: ml_collections.ConfigDict, **low: float) -> None:
  """Raises for an argument below what a recipe can reckon with.

  `choices.at_least(arg, batch=1)` stands where a recipe divides by it, before
  the config can say what is wrong.

  Args:
    arg: of `configs.parse_arg`.
    **low: name -> the least value.

  Raises:
    UserError: naming the first that is lower.
  """
  for name, least in low.items():
    if arg[name] < least:
      raise errors.UserError(
        f"{name}={arg[name]}", f"{least} or more", "raise it", "--config"
      )
