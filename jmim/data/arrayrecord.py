"""ArrayRecord files: whether they are whole, and what their reader raises.

The reader is in C++ and raises a RuntimeError for everything; what the disk
said stands in its text ("pread() failed: Input/output error; reading PATH; at
byte 9"), without the number of the error.
"""

import copy
import errno
import os
import re
from collections.abc import Sequence
from typing import Any

from jmim.core import errors
from jmim.data import again
from jmim.data import index_cache

# Nothing is read ahead: two ends of a file are looked at.
_OPTIONS = {
  "options": "readahead_buffer_size:0",
  "file_reader_buffer_size": 2**15,
}
_FAILED = re.compile(r"\w+\(\) failed: ([^;]+); \w+ (.*?)(?:; at byte|$)")
_NUMBERS = {os.strerror(number): number for number in errno.errorcode}


def of_disk(error: Exception) -> OSError | None:
  """What the disk or network said; None: the error is about the content."""
  if found := _FAILED.match(str(error)):
    text, path = found.groups()
    return OSError(_NUMBERS.get(text), text, path)
  return None


def reopened(data: Any) -> Any:
  """The same data source of TFDS with closed files.

  A reader that could not open its file, or whose file was replaced on a network
  disk, fails for ever, and the source keeps it.
  """
  data = copy.copy(data)
  data.data_source = copy.copy(data.data_source)  # as for another process
  return data


def check(files: Sequence[tuple[str, int]]) -> None:
  """Looks whether files are whole, by what is at their ends.

  The records themselves are looked at when they are read.

  Args:
    files: (path, number of records that it must have).

  Raises:
    UserError: one cannot be read, is cut or empty, or has others; it is named.
  """
  look = lambda file: again.read(file[0], lambda: _check(*file))
  index_cache.each([file for file in files if file[1]], look)


def _check(path: str, count: int) -> None:
  # Here, as not every system has it that reads other files of TFDS.
  from array_record.python import array_record_module  # noqa: PLC0415

  reader = array_record_module.ArrayRecordReader(path, **_OPTIONS)
  if reader.ok():
    there = reader.num_records()
    reader.close()
    if there != count:
      raise _damaged(path, f"{there} records, of {count}")
    return
  try:
    reader.read([0])  # says what is wrong
  except RuntimeError as error:
    raise of_disk(error) or _damaged(path, errors.first_line(error)) from error
  raise _damaged(path, "no record can be read")


def _damaged(path: str, seen: str) -> errors.UserError:
  return errors.UserError(
    f"{path}: {seen}",
    "a whole ArrayRecord file of the data set",
    "copy or prepare it again",
    "data.data_dir",
  )
