"""Indices of large files, made once and kept beside other caches."""

import contextlib
import hashlib
import json
import logging
import os
import pathlib
import secrets
import zipfile
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from jmim.core import errors
from jmim.core import npy
from jmim.data import threads

_LARGE = 2**16  # bytes, from which an array is mapped
_LENGTHS = 26  # byte of a member's header at which they are


def state(path: str) -> list[Any]:
  """What changes if a file does, wherever it is looked at from.

  Raises:
    OSError: there is no such file.
  """
  if "://" in path:
    stat = epath.Path(path).stat()
    return [path, stat.length, stat.mtime]
  # Not by etils, which wants to know the name of the owner.
  found = os.stat(path)
  return [os.path.abspath(path), found.st_size, int(found.st_mtime)]


def load(
  cache: pathlib.Path,
  kind: str,
  files: Sequence[str],
  make: Callable[[], Mapping[str, np.ndarray]],
) -> dict[str, np.ndarray]:
  """The index of some files, from the cache if they have not changed.

  Large arrays of it are mapped, not read: all processes of a machine share
  them, and only what is used is in memory.

  Args:
    cache: folder of indices; where it cannot be written, nothing is kept.
    kind: beginning of the name; another one for another form of index.
    files: paths, local or remote.
    make: makes the index.
  """
  path = _place(cache, kind, files)
  if path.exists():
    try:
      return _mapped(path)
    except npy.BROKEN as error:
      text = errors.first_line(error)
      logging.warning("%s: %s: it is made anew", path, text)
      path.unlink(missing_ok=True)
  table = dict(make())
  # Of processes that are at it too, on other hosts the number may be the same.
  scratch = path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}.npz")
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch.open("wb") as file:
      np.savez(file, **table)
      file.flush()
      # What is mapped is not looked at again: its name must not reach the disk
      # before it does.
      os.fsync(file.fileno())
    _keep(scratch, path)
    return _mapped(path)
  except npy.BROKEN as error:
    logging.warning("no index is kept: %s", errors.first_line(error))
  finally:
    with contextlib.suppress(OSError):
      scratch.unlink(missing_ok=True)
  return table


def drop(cache: pathlib.Path, kind: str, files: Sequence[str]) -> None:
  """Removes the index of some files, as of `load`, if there is one.

  Others may read it: it must be small, or have been copied by all.
  """
  with contextlib.suppress(OSError):
    _place(cache, kind, files).unlink(missing_ok=True)


def _place(
  cache: pathlib.Path, kind: str, files: Sequence[str]
) -> pathlib.Path:
  key = json.dumps(threads.each(files, state))
  digest = hashlib.sha256(key.encode()).hexdigest()[:24]
  return cache / f"{kind}-{digest}.npz"


def _keep(scratch: pathlib.Path, path: pathlib.Path) -> None:
  """Gives a complete file its name, unless another process was first.

  Theirs, which holds the same, is not replaced: they may have mapped it, and on
  a network disk it would be gone from under them.
  """
  try:
    os.link(scratch, path)
  except FileExistsError:
    pass
  except OSError:  # a disk without hard links
    scratch.rename(path)


class _Array(np.memmap):
  """A mapped array; a worker process is sent its place, not its numbers."""

  place: tuple[Any, ...] | None = None  # of a whole one, not of its slices

  def __reduce__(self):
    if self.place is None:
      return np.array(self).__reduce__()
    return _map, self.place


def _map(
  path: pathlib.Path, dtype: np.dtype, start: int, shape: tuple[int, ...]
) -> np.ndarray:
  made = _Array(path, dtype, "r", offset=start, shape=shape)
  made.place = (path, dtype, start, shape)
  return made


def _mapped(path: pathlib.Path) -> dict[str, np.ndarray]:
  """The arrays of an .npz that is not packed; large ones mapped."""
  arrays = {}
  with zipfile.ZipFile(path) as archive, path.open("rb") as file:
    for info in archive.infolist():
      npy.check(archive, info)
      with archive.open(info) as member:
        shape, dtype = npy.header(member)
        start = member.tell()
      name = info.filename.removesuffix(".npy")
      if info.file_size < _LARGE:
        with archive.open(info) as member:
          arrays[name] = np.lib.format.read_array(member)
        continue
      file.seek(info.header_offset + _LENGTHS)
      lengths = np.frombuffer(file.read(4), "<u2")  # of name and extra
      start += info.header_offset + _LENGTHS + 4 + int(lengths.sum())
      arrays[name] = _map(path, dtype, start, shape)
  return arrays
