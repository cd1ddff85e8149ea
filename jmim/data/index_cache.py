"""Indices of large files, made once and kept beside other caches."""

import hashlib
import json
import logging
import os
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from jmim.core import errors


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

  Args:
    cache: folder of indices; where it cannot be written, nothing is kept.
    kind: beginning of the name; another one for another form of index.
    files: paths, local or remote.
    make: makes the index.
  """
  key = json.dumps([state(path) for path in files])
  digest = hashlib.sha256(key.encode()).hexdigest()[:24]
  path = cache / f"{kind}-{digest}.npz"
  if path.exists():
    with np.load(path) as file:
      return dict(file)
  table = dict(make())
  # Renamed when complete: another process may be at it too.
  scratch = path.with_suffix(f".{os.getpid()}.npz")
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(scratch, **table)
    scratch.rename(path)
  except OSError as error:
    logging.warning("no index is kept: %s", errors.first_line(error))
    if scratch.exists():
      scratch.unlink()
  return table
