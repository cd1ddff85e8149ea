"""Where in TensorBoard's files which event is, without making any of them.

A record is a length (8 bytes), its checksum (4), the event, its checksum (4).
Of an event only its step and the tag of its value are read; a run of a million
steps has a million of them.
"""

import dataclasses
import functools
import mmap
import pathlib
from collections.abc import Sequence

import numpy as np

from jmim.core import crc32c

_HEADER, _FOOTER = 12, 4
_LOOKED_AT = 1024  # bytes of an event that hold its step and tag
_SHORT = 256  # bytes of an event whose checksum is looked at: numbers
_ROWS = 2**16  # events looked at together


@dataclasses.dataclass(frozen=True, kw_only=True)
class Index:
  """The whole events of some files, in order; those without a value too.

  Attributes:
    file: int32 [n], the number of its file.
    start: int64 [n], where in it the record begins.
    size: int64 [n], of the record in bytes.
    step: int64 [n].
    tag: int32 [n], a place in `tags`; -1: it has no value.
    image: bool [n], whether its value is a picture.
    tags: names.
    whole: whether all files were read to their ends.
  """

  file: np.ndarray
  start: np.ndarray
  size: np.ndarray
  step: np.ndarray
  tag: np.ndarray
  image: np.ndarray
  tags: tuple[str, ...]
  whole: bool


def read(paths: Sequence[pathlib.Path]) -> Index:
  """The events of files; of each those before the first that is damaged."""
  rows: list[np.ndarray] = []
  tags: dict[str, int] = {}
  whole = True
  for number, path in enumerate(paths):
    found, complete = _file(path, tags)
    rows.append(np.insert(found, 0, number, axis=1))
    whole &= complete
  table = np.concatenate([np.zeros((0, 6), np.int64), *rows])
  file, start, size, step, tag, image = table.T
  return Index(
    file=file.astype(np.int32),
    start=start,
    size=size,
    step=step,
    tag=tag.astype(np.int32),
    image=image.astype(bool),
    tags=tuple(tags),
    whole=whole,
  )


def _file(path: pathlib.Path, tags: dict[str, int]) -> tuple[np.ndarray, bool]:
  """(int64 [n, 5] of start, size, step, tag and image; whether that is all)."""
  if not path.stat().st_size:
    return np.zeros((0, 5), np.int64), True
  with path.open("rb") as file:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
      rows, complete = _walk(data, tags)
      table = np.array(rows, np.int64).reshape(-1, 5)
      good = _intact(np.frombuffer(data, np.uint8), table)
  return table[:good], complete and good == len(table)


def _walk(data: mmap.mmap, tags: dict[str, int]) -> tuple[list, bool]:
  """Rows of `_file`, by the lengths alone."""
  rows, at, end = [], 0, len(data)
  while at < end:
    header = data[at : at + _HEADER]
    size = int.from_bytes(header[:8], "little")
    stop = at + _HEADER + size + _FOOTER
    if stop > end or header[8:] != _checksum(header[:8]):
      return rows, False
    start = at + _HEADER
    try:
      step, tag, image = _look(data[start : start + min(size, _LOOKED_AT)])
    except (IndexError, ValueError):
      return rows, False
    number = -1 if tag is None else tags.setdefault(tag, len(tags))
    rows.append((at, stop - at, step, number, image))
    at = stop
  return rows, True


@functools.lru_cache(2**12)  # most events are of one of few lengths
def _checksum(length: bytes) -> bytes:
  return crc32c.masked(length).to_bytes(4, "little")


def _look(event: bytes) -> tuple[int, str | None, bool]:
  """(step, tag of the first value or None, whether that is a picture)."""
  at, step, end = 0, 0, len(event)
  while at < end:
    key, at = _varint(event, at)
    if key == 0x10:  # step
      step, at = _varint(event, at)
      step -= step >> 63 << 64
    elif key == 0x2A:  # summary: its first value, of which the first is the tag
      _, at = _varint(event, at)
      if at >= end:
        return step, None, False
      value, at = _varint(event, at)
      _, at = _varint(event, at)
      tag, at = _varint(event, at)
      if (value, tag) != (0x0A, 0x0A):
        raise ValueError("another kind of summary")
      size, at = _varint(event, at)
      text = event[at : at + size].decode()
      if len(event) < at + size + 1:
        raise ValueError("a tag that is too long")
      return step, text, event[at + size] == 0x22
    elif key & 7 == 1:
      at += 8
    elif key & 7 == 2:
      size, at = _varint(event, at)
      at += size
    else:
      raise ValueError("another kind of event")
  return step, None, False


def _varint(data: bytes, at: int) -> tuple[int, int]:
  value = shift = 0
  while shift < 70:
    byte = data[at]
    value, at = value | (byte & 0x7F) << shift, at + 1
    if byte < 0x80:
      return value, at
    shift += 7
  raise ValueError("a number of more than 64 bits")


def _intact(data: np.ndarray, table: np.ndarray) -> int:
  """How many events there are before the first with another checksum.

  Pictures are looked at in the last record only, where a crash cuts.
  """
  starts, sizes = table[:, 0] + _HEADER, table[:, 1] - _HEADER - _FOOTER
  good = len(table)
  for size in np.unique(sizes[sizes <= _SHORT]).tolist():
    (at,) = np.nonzero(sizes == size)
    for first in range(0, len(at), _ROWS):
      some = at[first : first + _ROWS]
      rows = data[starts[some, None] + np.arange(size + _FOOTER)]
      stored = np.ascontiguousarray(rows[:, size:]).view("<u4")[:, 0]
      wrong = crc32c.masked_rows(rows[:, :size]) != stored
      good = min([good, *some[wrong].tolist()])
  if good and sizes[good - 1] > _SHORT:
    start, size = int(starts[good - 1]), int(sizes[good - 1])
    stored = data[start + size : start + size + _FOOTER].tobytes()
    last = data[start : start + size].tobytes()
    good -= crc32c.masked(last).to_bytes(4, "little") != stored
  return good
