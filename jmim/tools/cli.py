"""What the command lines of the tools share."""

import argparse
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


def check_least(
  parser: argparse.ArgumentParser, args: argparse.Namespace, *names: str
) -> None:
  """Ends the program, as argparse does, for a number below 1."""
  for name in names:
    if getattr(args, name) < 1:
      parser.error(f"--{name}: 1 or more")


def check_npz(
  parser: argparse.ArgumentParser, args: argparse.Namespace
) -> None:
  """The same for an --out that numpy would give another name."""
  if args.out.suffix != ".npz":
    parser.error(f"--out: {args.out} does not end in .npz")


def check_folders(
  parser: argparse.ArgumentParser, args: argparse.Namespace, *names: str
) -> None:
  """The same for paths that were given and are no folders."""
  for name in names:
    folder = getattr(args, name)
    if folder and not folder.is_dir():
      parser.error(f"--{name}: no folder {folder}")
