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

from tensorflow_datasets.core.utils import lazy_imports_utils

from jmim.core import errors
from jmim.data import again
from jmim.data import shards

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


def whole(data: Any, files: Sequence[Any], share: float) -> list[Any]:
  """Looks whether files are whole, by what is at their ends.

  The records themselves are looked at when they are read.

  Args:
    data: the source of TFDS; what is left out goes from it.
    files: its file instructions, of TFDS.
    share: largest share of the files that may be left out.

  Returns:
    Those that are not left out.

  Raises:
    UserError: one cannot be read, is cut or empty, or has another number of
      records; it is named.
  """
  found = shards.each(files, _check, share)
  bad = shards.broken(found)
  shards.say(bad, len(files), share)
  kept = [f for f, wrong in zip(files, found, strict=True) if wrong is None]
  if bad:
    data.data_source = type(data.data_source)(kept)
  return kept


def _check(file: Any) -> None:
  path, count = str(file.filename), file.examples_in_shard
  if count:
    again.read(path, lambda: _look(path, count))


def _look(path: str, count: int) -> None:
  module = lazy_imports_utils.array_record_data_source.array_record_module
  reader = module.ArrayRecordReader(path, **_OPTIONS)
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
