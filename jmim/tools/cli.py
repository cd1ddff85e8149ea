"""What the command lines of the tools share."""

import sys
from collections.abc import Callable
from collections.abc import Sequence

from jmim.core import errors

CONFIG = "--config."


def overrides(argv: Sequence[str]) -> tuple[list[str], list[str]]:
  """(other arguments, "key=value" of those that begin with --config.)."""
  of_config = [a for a in argv if a.startswith(CONFIG)]
  others = [a for a in argv if not a.startswith(CONFIG)]
  return others, [a.removeprefix(CONFIG) for a in of_config]


def run(action: Callable[[], int | None]) -> int:
  """Runs a tool; its exit code, 2 for a mistake of the user, which it prints.

  Args:
    action: returns an exit code; None: 0.
  """
  try:
    return action() or 0
  except errors.UserError as e:
    print(f"error:\n{e.screen()}", file=sys.stderr)
    return 2
