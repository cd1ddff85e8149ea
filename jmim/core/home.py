"""Paths of users, which may begin with `~`."""

import pathlib

from jmim.core import errors


def expand(path: str | pathlib.Path, key: str | None) -> pathlib.Path:
  """A path with `~` and `~name` made out.

  Args:
    path: as it was given.
    key: flag or config key that names it.

  Raises:
    UserError: there is no such user, or no home.
  """
  try:
    return pathlib.Path(path).expanduser()
  except RuntimeError as e:
    raise errors.UserError(
      f"{key or 'path'}={path}: {errors.first_line(e)}",
      "a path, with ~ only where there is a home",
      "write the path out, or set HOME",
      key,
    ) from e
