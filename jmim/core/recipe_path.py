"""Which file `--config=recipe.py:argument` means."""

import difflib
import pathlib
import re

from jmim.core import errors
from jmim.core import home
from jmim.core import recipes

_KEY = "--config"


def find(spec: str) -> tuple[str, str]:
  """(path, argument) of a recipe; a colon may be in both.

  The path is the shortest that is a file. What is no file may be the name of a
  recipe that comes with jmim, or its path in the source tree.

  Args:
    spec: "recipe.py", or "recipe.py:argument"; `~` is the home. Or "recipe",
      "recipe:argument".

  Raises:
    UserError: no such file, or an address.
  """
  ends = [match.end() - 1 for match in re.finditer(r"\.py:", spec)]
  splits = [(spec[:at], spec[at + 1 :]) for at in ends] + [(spec, "")]
  for path, arg in splits:
    expanded = home.expand(path, _KEY)
    if _is_file(expanded):
      return str(expanded), arg
  name, _, arg = spec.partition(":")
  if ours := recipes.path(re.sub(r"^configs/(\w+)\.py$", r"\1", name)):
    return str(ours), arg
  path = splits[0][0].removesuffix(":")
  if "://" in path:
    raise errors.UserError(
      f"{_KEY}={path}: an address",
      "a recipe on this machine: it is a program, and is run",
      "fetch it, read it, and name the file",
      _KEY,
    )
  raise _unknown(path)


def _unknown(path: str) -> errors.UserError:
  """The error for a path, or a name, of nothing."""
  bare = bool(re.fullmatch(r"\w+(:.*)?", path))
  path = path.partition(":")[0] if bare else path
  here = sorted(str(p) for p in pathlib.Path("configs").glob("*.py"))
  known = recipes.names() if bare else [*here, *recipes.names()]
  near = difflib.get_close_matches(path, known, 3, 0.0)
  return errors.UserError(
    f"{_KEY}={path}: no such file{' or recipe' if bare else ''}",
    f"a recipe such as {', '.join(near)}",
    "name an existing file, or a recipe of `jmim --list`",
    _KEY,
  )


def _is_file(path: pathlib.Path) -> bool:
  try:
    return path.is_file()
  except (OSError, ValueError):  # too long a name, or one with a zero in it
    return False
