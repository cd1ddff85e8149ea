"""Reading where a network disk fails now and then."""

import errno
import time
from collections.abc import Callable
from typing import TypeVar

from jmim.core import errors

T = TypeVar("T")

# Of an OSError: what passes; where it stays, the file is bad.
PASSING = frozenset((errno.EIO, errno.ESTALE))
PAUSES = (0.1, 0.5, 2.0)  # before it is tried again, in seconds


def attempt(read: Callable[[], T]) -> T:
  """What is read; what may pass is tried again.

  Raises:
    OSError: it did not pass, or is another one.
  """
  for pause in PAUSES:
    try:
      return read()
    except OSError as error:
      if error.errno not in PASSING:
        raise
    time.sleep(pause)
  return read()


def read(path: str, make: Callable[[], T]) -> T:
  """What is made of a file that the data cannot do without.

  Args:
    path: of the file, for the message.
    make: reads it.

  Raises:
    UserError: it cannot be read.
  """
  try:
    return attempt(make)
  except OSError as error:
    raise errors.UserError(
      f"{path}: {errors.first_line(error)}",
      "a file that can be read",
      "copy it again, or look at its disk",
      "data.data_dir",
    ) from error
