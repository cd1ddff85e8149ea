"""Members of .npz files from anywhere: looked at, not believed.

A header may claim any shape; numpy would ask for that much memory before it
finds that the numbers are not there.
"""

import math
import zipfile
import zlib
from typing import BinaryIO

import numpy as np

# What a .npy or .npz raises that is cut, damaged, of another kind or packed in
# a way that nobody knows: opened, looked at or read.
DAMAGED = (
  ValueError,
  LookupError,
  EOFError,
  NotImplementedError,
  zipfile.BadZipFile,
  zlib.error,
)
BROKEN = (OSError, *DAMAGED)  # or whose disk fails
# DEFLATE cannot make anything smaller than by 1032.
_DENSEST = 1032


def header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
  """Shape and dtype in the header of a .npy; KeyError: unknown version."""
  read = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
  }[np.lib.format.read_magic(file)]
  shape, _, dtype = read(file)
  return shape, dtype


def check(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
  """Holds a member to what its header claims.

  Raises:
    ValueError: it claims more, or less, than there is; it holds pickled
      objects, or is encrypted.
    BROKEN: it cannot be looked at.
  """
  if info.flag_bits & 1:
    raise ValueError(f"{info.filename} is encrypted")
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
