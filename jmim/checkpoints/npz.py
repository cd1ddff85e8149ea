"""Arrays of an .npz file from anywhere: read, not run, and not believed.

A header may claim any shape; numpy would ask for that much memory before it
finds that the numbers are not there.
"""

import math
import pathlib
import zipfile
import zlib
from typing import BinaryIO

import numpy as np

from jmim.core import errors

# DEFLATE cannot make anything smaller than by 1032.
_DENSEST = 1032
_BROKEN = (
  OSError,
  ValueError,
  EOFError,
  LookupError,
  zipfile.BadZipFile,
  zlib.error,
)


def read(path: pathlib.Path, key: str) -> dict[str, np.ndarray]:
  """Name -> array.

  Args:
    path: of the file.
    key: config key of the path, for messages.

  Raises:
    UserError: no .npz, damaged, pickled objects, or a header that claims more
      than there is.
  """
  try:
    with zipfile.ZipFile(path) as archive:
      for info in archive.infolist():
        _check(archive, info)
    with np.load(path, allow_pickle=False) as stored:
      return {name: stored[name] for name in stored.files}
  except _BROKEN as e:
    raise errors.UserError(
      f"{path} cannot be read ({errors.first_line(e)})",
      "an .npz of named arrays, as numpy.savez writes it",
      "copy or make it again",
      key,
    ) from e


def header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
  """Shape and dtype in the header of a .npy; KeyError: unknown version."""
  read = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
  }[np.lib.format.read_magic(file)]
  shape, _, dtype = read(file)
  return shape, dtype


def _check(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
  """Raises ValueError unless a member holds what its header claims."""
  if info.file_size > _DENSEST * info.compress_size + 1000:
    raise ValueError(f"{info.filename} cannot be that large")
  with archive.open(info) as file:
    shape, dtype = header(file)
    size = math.prod(shape) * dtype.itemsize
    rest = info.file_size - file.tell()
  if dtype.hasobject:
    raise ValueError(f"{info.filename} holds pickled objects; nothing was run")
  if size != rest:
    text = f"{info.filename}: shape {shape} of {size} bytes, {rest} are there"
    raise ValueError(text)
