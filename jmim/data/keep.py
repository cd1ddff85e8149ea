"""Some examples of a split, listed in a file: `data.keep`.

A list is what a filter leaves behind: of examples made by a model, say, those
that another model agrees with.
"""

import hashlib
import pathlib
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.core import home
from jmim.core import npy
from jmim.data import splits


def part(source: Any, path: str) -> splits.Subset:
  """The examples of a source that a file lists, in the order of the source.

  Args:
    source: positions are counted in it, from 0.
    path: `.npy` of whole numbers [m] or of booleans, one per example; else a
      text with a number per line.

  Raises:
    UserError: there is no such file, it is no list, or it lists what is not
      there.
  """
  file = home.expand(path, "data.keep")
  n = len(source)
  try:
    listed = _numbers(file)
  except OSError as error:
    raise _wrong(f"{file}: {error.strerror or error}") from error
  except npy.BROKEN as error:
    raise _wrong(f"{file}: {errors.first_line(error)}") from error
  if listed.dtype == bool and listed.shape == (n,):
    listed = np.flatnonzero(listed)
  if listed.ndim != 1 or listed.dtype.kind not in "iu":
    raise _wrong(
      f"{file} with {listed.dtype} numbers of shape {list(listed.shape)}, of "
      f"{n:,} examples"
    )
  index = np.unique(listed).astype(np.int64)
  if not len(index) or len(index) < len(listed):
    raise _wrong(f"{file} with {len(listed)} lines, {len(index)} different")
  if index[0] < 0 or index[-1] >= n:
    raise _wrong(f"{file} with numbers from {index[0]} to {index[-1]}", n)
  found = splits.Subset(source, index)
  found.kept = hashlib.sha256(index.tobytes()).hexdigest()
  return found


def digest(source: Any) -> str:
  """sha256 of the list that a source, or what it is made of, was cut to."""
  while source is not None:
    if kept := getattr(source, "kept", ""):
      return kept
    parts = getattr(source, "parts", ())
    if found := next(filter(None, map(digest, parts)), ""):
      return found
    source = getattr(source, "source", None)
  return ""


def _numbers(file: pathlib.Path) -> np.ndarray:
  """What a file holds."""
  if file.suffix == ".npy":
    stored = np.load(file, allow_pickle=False)
    if not isinstance(stored, np.ndarray):
      raise ValueError("an archive of arrays")
    return stored
  lines = file.read_text(encoding="utf-8").split()
  return np.array([int(line) for line in lines], np.int64)


def _wrong(seen: str, n: int | None = None) -> errors.UserError:
  within = "" if n is None else f", below {n:,}: those of data.train_split"
  return errors.UserError(
    seen,
    "a list of examples: .npy of whole numbers, or text with one per line, "
    f"none twice{within}",
    "correct the file or its path",
    "data.keep",
  )
