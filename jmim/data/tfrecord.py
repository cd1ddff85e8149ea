"""TFRecord files in any order, without TensorFlow.

A record is its length (8 bytes, little-endian), a checksum of that (4), the
bytes, a checksum of them (4). The files are walked through once, length by
length, for an index of where records begin, which is kept in a cache. The
records of TFDS are `tf.train.Example` messages; the few wire types these use
are read here.
"""

import pathlib
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from etils import epath

from jmim.core import errors
from jmim.data import index_cache
from jmim.data import splits

_HEADER, _FOOTER = 12, 4


def offsets(path: str) -> np.ndarray:
  """Where the records of one file begin: int64 [n + 1], the last its end.

  Raises:
    UserError: the file ends within a record.
  """
  starts, place = [0], 0
  end = index_cache.state(path)[1]
  with epath.Path(path).open("rb") as file:
    while place < end:
      file.seek(place)
      header = file.read(_HEADER)
      if len(header) == _HEADER:
        place += _HEADER + struct.unpack("<Q", header[:8])[0] + _FOOTER
      if len(header) < _HEADER or place > end:
        raise errors.UserError(
          f"{path} ends within record {len(starts) - 1}",
          "a whole TFRecord file",
          "copy or build it again",
          "data.data_dir",
        )
      starts.append(place)
  return np.array(starts, np.int64)


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


def _fields(data: memoryview) -> Iterator[tuple[int, int, Any]]:
  """(field number, wire type, value) of a message."""
  at = 0
  while at < len(data):
    tag, at = _varint(data, at)
    number, wire = tag >> 3, tag & 7
    if wire == 0:
      value, at = _varint(data, at)
    else:
      assert wire in (1, 2, 5), f"wire type {wire} in an Example"
      size = {1: 8, 5: 4}.get(wire)
      if size is None:
        size, at = _varint(data, at)
      value, at = data[at : at + size], at + size
    yield number, wire, value


def _values(kind: int, data: memoryview) -> list[Any]:
  """The list of a Feature: of bytes (1), float (2) or int64 (3)."""
  values: list[Any] = []
  for _, wire, value in _fields(data):
    if kind == 1:
      values.append(bytes(value))
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


def parse_example(data: bytes) -> dict[str, list[Any]]:
  """A serialised `tf.train.Example` as {name: list of bytes, float or int}."""
  example = {}
  for _, _, features in _fields(memoryview(data)):
    for _, _, entry in _fields(features):
      name, values = "", []
      for number, _, part in _fields(entry):
        if number == 1:
          name = bytes(part).decode()
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
  ):
    """Indexes the files, unless that was done before.

    Args:
      parts: (path, first record, number of records or -1 for all).
      name: of the data set, for messages.
      num_classes: of the feature "label".
      cache: folder that the index is kept in.
      classes: their names, if they have some.
    """
    self._name, self.num_classes, self.classes = name, num_classes, classes
    self._paths = [path for path, _, _ in parts]
    rows = []
    for number, (path, skip, take) in enumerate(parts):
      starts = _indexed(path, cache)
      last = len(starts) - 1 if take < 0 else min(skip + take, len(starts) - 1)
      chosen = np.arange(skip, last)
      rows.append(
        np.stack(
          [np.full_like(chosen, number), starts[chosen], starts[chosen + 1]]
        )
      )
    self._table = np.concatenate(rows, axis=1)

  def __len__(self) -> int:
    return self._table.shape[1]

  def __getitem__(self, i: int) -> dict[str, Any]:
    number, start, end = self._table[:, i].tolist()
    with epath.Path(self._paths[number]).open("rb") as file:
      file.seek(start + _HEADER)
      record = file.read(end - start - _HEADER - _FOOTER)
    example = parse_example(record)
    return {k: v[0] if len(v) == 1 else v for k, v in example.items()}

  def places(self) -> np.ndarray:
    """int64 [n]: where examples lie; see `splits.common`."""
    found = [splits.places(p, within=np.zeros(1)) for p in self._paths]
    return np.concatenate(found)[self._table[0]] + self._table[1]

  def name(self, i: int) -> str:
    """File, and where in it the record begins."""
    number, start, _ = self._table[:, i].tolist()
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
