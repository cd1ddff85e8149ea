"""TFRecord files in any order, without TensorFlow.

A record is its length (8 bytes, little-endian), a checksum of that (4), the
bytes, a checksum of them (4); both are looked at. The files are walked through
once, length by length, for an index of where records begin, which is kept in a
cache. The records of TFDS are `tf.train.Example` messages; the few wire types
these use are read here.
"""

import functools
import pathlib
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from etils import epath

from jmim.core import crc32c
from jmim.core import errors
from jmim.data import again
from jmim.data import formats
from jmim.data import index_cache
from jmim.data import shards
from jmim.data import splits

_HEADER, _FOOTER = 12, 4
_LONGEST = 63  # bits before the last seven of a number
_GZIP = b"\x1f\x8b"


def offsets(path: str) -> np.ndarray:
  """Where the records of one file begin: int64 [n + 1], the last its end.

  Raises:
    UserError: the file ends within a record, is compressed, or is no such file.
  """
  return again.read(path, lambda: _offsets(path))


def _offsets(path: str) -> np.ndarray:
  starts, place = [0], 0
  end = index_cache.state(path)[1]
  with epath.Path(path).open("rb") as file:
    while place < end:
      file.seek(place)
      header = file.read(_HEADER)
      if header.startswith(_GZIP) and not place:
        raise _damaged(f"{path} is compressed")
      number = f"record {len(starts) - 1}"
      if len(header) == _HEADER:
        length, checksum = struct.unpack("<QI", header)
        if crc32c.masked(header[:8]) != checksum:
          at = f"{path}: {number}, at byte {place}"
          raise _damaged(f"{at}: its length and the checksum do not agree")
        place += _HEADER + length + _FOOTER
      if len(header) < _HEADER or place > end:
        raise _damaged(f"{path} ends within {number}")
      starts.append(place)
  return np.array(starts, np.int64)


def _damaged(seen: str) -> errors.UserError:
  return errors.UserError(
    seen,
    "a whole TFRecord file, not compressed",
    "copy or build it again",
    "data.data_dir",
  )


def _varint(data: memoryview, at: int) -> tuple[int, int]:
  """(value, place after it)."""
  value = shift = 0
  while True:
    byte = data[at]
    at += 1
    value |= (byte & 0x7F) << shift
    if byte < 0x80:
      return value, at
    shift += 7
    if shift > _LONGEST:
      raise ValueError("a number of more than 64 bits")


def _fields(data: memoryview) -> Iterator[tuple[int, int, Any]]:
  """(field number, wire type, value) of a message."""
  at = 0
  while at < len(data):
    tag, at = _varint(data, at)
    number, wire = tag >> 3, tag & 7
    if wire == 0:
      value, at = _varint(data, at)
    else:
      if wire not in (1, 2, 5):
        raise ValueError(f"wire type {wire} in an Example")
      size = {1: 8, 5: 4}.get(wire)
      if size is None:
        size, at = _varint(data, at)
      value, at = data[at : at + size], at + size
      if at > len(data):
        raise ValueError("a field that goes on after the end")
    yield number, wire, value


def _values(kind: int, data: memoryview) -> list[Any]:
  """The list of a Feature: of bytes (1), float (2) or int64 (3)."""
  values: list[Any] = []
  for _, wire, value in _fields(data):
    if kind == 1:
      values.append(_text(value))
    elif kind == 2:
      values += np.frombuffer(value, "<f4").tolist()
    elif wire == 0:
      values.append(value - (value >> 63 << 64))
    else:
      at = 0
      while at < len(value):
        one, at = _varint(value, at)
        values.append(one - (one >> 63 << 64))
  return values


def _text(value: Any) -> bytes:
  if not isinstance(value, memoryview):  # bytes(2**40) would be made
    raise ValueError("a number in the place of bytes")
  return bytes(value)


def parse_example(data: bytes) -> dict[str, list[Any]]:
  """A serialised `tf.train.Example` as {name: list of bytes, float or int}.

  Raises:
    ValueError, IndexError, TypeError: it is none.
  """
  example = {}
  for _, _, features in _fields(memoryview(data)):
    for _, _, entry in _fields(features):
      name, values = "", []
      for number, _, part in _fields(entry):
        if number == 1:
          name = _text(part).decode()
        else:
          for kind, _, inner in _fields(part):
            values = _values(kind, inner)
      example[name] = values
  return example


class TfRecordSource:
  """Records of TFRecord files, in order; a `sources.Source`.

  Attributes:
    num_classes: as given.
    classes: their names, or empty.
  """

  def __init__(
    self,
    parts: list[tuple[str, int, int]],
    name: str,
    num_classes: int | None,
    cache: pathlib.Path,
    classes: tuple[str, ...] = (),
    max_bad_shards: float = 0.0,
  ):
    """Indexes the files, unless that was done before.

    Args:
      parts: (path, first record, number of records or -1 for all).
      name: of the data set, for messages.
      num_classes: of the feature "label".
      cache: folder that the index is kept in.
      classes: their names, if they have some.
      max_bad_shards: largest share of the files that may be left out.
    """
    self._name, self.num_classes, self.classes = name, num_classes, classes
    self._paths = [path for path, _, _ in parts]
    read = functools.partial(_indexed, cache=cache)
    found = shards.each(self._paths, read, max_bad_shards)
    shards.say(shards.broken(found), len(found), max_bad_shards)
    none = np.zeros(1, np.int64)
    self._starts = [none if shards.broken([x]) else x for x in found]
    self._skips = [skip for _, skip, _ in parts]
    counts = []
    for starts, (_, skip, take) in zip(self._starts, parts, strict=True):
      there = max(0, len(starts) - 1 - skip)
      counts.append(there if take < 0 else min(take, there))
    self._ends = np.cumsum(counts)

  def __len__(self) -> int:
    return int(self._ends[-1])

  def _place(self, i: int) -> tuple[int, int, int]:
    """Number of the file, and where in it record `i` begins and ends."""
    i = range(len(self))[i]
    number = int(np.searchsorted(self._ends, i, side="right"))
    before = int(self._ends[number - 1]) if number else 0
    within = self._skips[number] + i - before
    starts = self._starts[number]
    return number, int(starts[within]), int(starts[within + 1])

  def __getitem__(self, i: int) -> dict[str, Any]:
    number, start, end = self._place(i)
    with epath.Path(self._paths[number]).open("rb") as file:
      file.seek(start + _HEADER)
      record = file.read(end - start - _HEADER - _FOOTER)
      footer = file.read(_FOOTER)
    if len(footer) < _FOOTER or crc32c.masked(record) != int.from_bytes(
      footer, "little"
    ):
      raise formats.BadImage("a record that its checksum does not agree with")
    try:
      example = parse_example(record)
    except (ValueError, IndexError, TypeError) as error:
      raise formats.BadImage(f"no tf.train.Example: {error}") from error
    return {k: v[0] if len(v) == 1 else v for k, v in example.items()}

  def places(self) -> np.ndarray:
    """int64 [n]: where examples lie; see `splits.common`."""
    counts = np.diff(self._ends, prepend=0)
    parts = zip(self._paths, self._starts, self._skips, counts, strict=True)
    return np.concatenate(
      [
        splits.places(path, within=starts[skip : skip + count])
        for path, starts, skip, count in parts
      ]
    )

  def name(self, i: int) -> str:
    """File, and where in it the record begins."""
    number, start, _ = self._place(i)
    return f"{self._name}: {self._paths[number]}, byte {start}"


def _indexed(path: str, cache: pathlib.Path) -> np.ndarray:
  if not epath.Path(path).exists():
    raise errors.UserError(
      f"no file {path}",
      "every shard of the data set",
      "copy or build it again",
      "data.data_dir",
    )
  make = lambda: {"starts": offsets(path)}
  return index_cache.load(cache, "tfrecord", [path], make)["starts"]
