"""The arrays of an .npz that hold something for every example."""

import logging
import pathlib
import zipfile

import numpy as np

from jmim.core import errors
from jmim.core import npy
from jmim.data import entries

EXPECTED = "np.savez(path, image=uint8 [n, h, w, c], label=int [n])"
_KNOWN = entries.ENTRIES.keys() | entries.FEATURES


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Name -> [n, ...] of an .npz.

  What no method can read is left out, and that is logged: Python objects, and
  unless the pipeline knows the name (see `entries`) single numbers and arrays
  of another length.

  Args:
    path: of a file that `np.savez` wrote.

  Raises:
    UserError: it is no such file, nothing is in it, or its pictures are Python
      objects.
  """
  try:
    with np.lib.npyio.NpzFile(path) as file:
      for info in file.zip.infolist():
        _check(file, info)
      arrays = {name: _array(file, name, path) for name in file.files}
  except errors.UserError:  # a ValueError too
    raise
  except npy.BROKEN as error:
    raise _wrong(
      f"{path} cannot be read: {errors.first_line(error)}"
    ) from error
  found = {name: x for name, x in arrays.items() if x is not None and x.ndim}
  known = [len(x) for name, x in found.items() if name in _KNOWN]
  kept = {
    name: x
    for name, x in found.items()
    if name in _KNOWN or not known or len(x) == known[0]
  }
  if left := sorted(arrays.keys() - kept.keys()):
    logging.warning("%s: nothing is made of %s", path, ", ".join(left))
  if not any(map(len, kept.values())):
    raise _wrong(f"{path} holds no example")
  return kept


def _check(file: np.lib.npyio.NpzFile, info: zipfile.ZipInfo) -> None:
  """Raises ValueError where a header claims more than there is."""
  if not info.filename.endswith(".npy"):
    return  # read as the bytes that it is
  with file.zip.open(info) as member:
    _, dtype = npy.header(member)
  if not dtype.hasobject:  # of objects nothing is made
    npy.check(file.zip, info)


def _wrong(seen: str) -> errors.UserError:
  return errors.UserError(seen, EXPECTED, "write it again", "data.data_dir")


def _array(
  file: np.lib.npyio.NpzFile, name: str, path: pathlib.Path
) -> np.ndarray | None:
  """One array; None: of Python objects."""
  try:
    return file[name]
  except ValueError as error:
    if "pickle" not in str(error):
      raise
    if name in entries.FEATURES:
      raise errors.UserError(
        f"{path}: {name!r} holds Python objects",
        "uint8 [n, h, w, c]",
        "store pictures of one size, or files in a folder",
        "data.data_dir",
      ) from error
    return None
