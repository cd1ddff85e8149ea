"""Paths of data, the same for every source, and names in messages."""

import errno
import os
import pathlib
import stat
from collections.abc import Sequence

from jmim.core import errors

# Left by systems and programs beside pictures, with pictures of their own.
_SYSTEM = {
  "__macosx",
  "__pycache__",
  "lost+found",
  "@eadir",
  "$recycle.bin",
  "system volume information",
}
# Endings of files that are read as pictures, see `formats`.
PICTURES = (
  *("jpg", "jpeg", "png", "webp", "bmp"),
  *("gif", "tif", "tiff", "pgm", "ppm"),
)
_FEW = 3  # names that stand for many


def expand(data_dir: str | os.PathLike) -> str:
  """A path as given, but for `~`, and slashes at the end or doubled.

  Brackets, backslashes and blanks are parts of names. A path with "://" is
  remote, and stays as it is.
  """
  data_dir = os.fspath(data_dir)
  if "://" in data_dir:
    return data_dir
  return str(pathlib.Path(os.path.expanduser(data_dir)))


def read(path: str) -> bytes:
  """All of a file; never of a pipe or a device, which may have no end.

  Raises:
    OSError: it cannot be read; ENXIO: it is no file.
  """
  # A pipe that nobody writes to would hold up opening it.
  wait = getattr(os, "O_NONBLOCK", 0)
  opener = lambda name, flags: os.open(name, flags | wait)
  with open(path, "rb", opener=opener) as file:
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
      raise OSError(errno.ENXIO, "a pipe or a device, not a file", path)
    return file.read()


def missing(path: str | pathlib.Path) -> errors.UserError:
  """For a folder that is not there."""
  return errors.UserError(
    f"no folder {path}",
    "the folder of the data set",
    "check the path",
    "data.data_dir",
  )


def is_system(name: str) -> bool:
  """Whether a folder of this name holds no data of the user."""
  return name.lower() in _SYSTEM


def printable(text: str) -> str:
  """A text with bytes that are no UTF-8, from file names, as escapes."""
  return text.encode("utf-8", "backslashreplace").decode()


def some(names: Sequence[str]) -> str:
  """The first few of some names, to be printed."""
  more = ", ..." if len(names) > _FEW else ""
  return printable(", ".join(list(names)[:_FEW])) + more
