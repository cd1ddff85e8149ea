"""TensorBoard's event files, so that each value is there once.

A run that was killed leaves events of steps it will do again, or half a
record at the end, and may lack some that metrics.jsonl has. `mend` makes the
files agree with the lines of metrics.jsonl, keeping the times of day.
"""

import math
import pathlib
import socket
import struct
import time
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorboardX.proto.event_pb2
import tensorboardX.record_writer
import tensorboardX.summary

from jmim.core import files

Event = tensorboardX.proto.event_pb2.Event
Line = Mapping[str, Any]
_KIND = "events.out.tfevents."


def record(event: Event) -> bytes:
  """An event as a TFRecord: length, its checksum, bytes, their checksum."""
  data = event.SerializeToString()
  header = struct.pack("<Q", len(data))
  return header + _crc(header) + data + _crc(data)


def records(path: pathlib.Path) -> Iterator[Event | None]:
  """The events of a file; a last None where one is cut or damaged."""
  data, at = path.read_bytes(), 0
  while at < len(data):
    size = int.from_bytes(data[at : at + 8], "little")
    body = data[at + 12 : at + 12 + size]
    crc = data[at + 12 + size : at + 16 + size]
    if crc != _crc(body):
      yield None
      return
    yield Event.FromString(body)
    at += 16 + size


def _crc(data: bytes) -> bytes:
  return struct.pack("<I", tensorboardX.record_writer.masked_crc32c(data))


def read(folder: pathlib.Path) -> list[Event]:
  """All whole events of a folder, in the order of its files."""
  every = (e for path in _paths(folder) for e in records(path))
  return [e for e in every if e is not None]


def scalar(tag: str, value: float, step: int) -> Event:
  """One number at a step, now."""
  return _event(tensorboardX.summary.scalar(tag, float(value)), tag, step)


def image(tag: str, pixels: np.ndarray, step: int) -> Event:
  """One uint8 [h, w, 3] picture at a step, now."""
  summary = tensorboardX.summary.image(tag, pixels, dataformats="HWC")
  return _event(summary, tag, step)


def _event(summary: Any, tag: str, step: int) -> Event:
  summary.value[0].tag = tag  # as it is, not as tensorboardX cleans it
  return Event(wall_time=time.time(), step=step, summary=summary)


def mend(folder: pathlib.Path, step: int, lines: Iterable[Line]) -> None:
  """Makes the files agree with the lines up to `step`.

  Args:
    folder: of the event files; created.
    step: that the run continues after.
    lines: of metrics.jsonl up to that step.

  Does nothing where they agree; else all goes into one new file, before the
  old ones are removed.
  """
  folder.mkdir(parents=True, exist_ok=True)
  paths, lines = _paths(folder), list(lines)
  before = [e for path in paths for e in records(path)]
  done = {x["eval"] for x in lines if "eval" in x and x["step"] == step}
  kept = {}
  for event in before:
    if event is not None and event.summary.value:
      tag = event.summary.value[0].tag
      if event.step < step or event.step == step and _stays(event, tag, done):
        kept.setdefault((event.step, tag), event)
  numbers_of = {
    (x["step"], tag): float(value) for x in lines for tag, value in numbers(x)
  }
  missing = [
    scalar(tag, value, at)
    for (at, tag), value in numbers_of.items()
    if (at, tag) not in kept
  ]
  heads = len(paths)  # each file begins with its version
  if len(paths) == 1 and not missing and len(before) == len(kept) + heads:
    return
  events = sorted([*kept.values(), *missing], key=lambda e: e.step)
  new = _new_path(folder)
  files.replace(new, b"".join(map(record, [_version(), *events])))
  for path in paths:
    path.unlink()


def numbers(line: Line) -> list[tuple[str, float | str]]:
  """(tag, number) of a line of metrics.jsonl; "nan" and its like too."""
  plain = {k: v for k, v in line.items() if k not in ("step", "eval")}
  return [(k, v) for k, v in plain.items() if _is_number(v)]


def _is_number(value: Any) -> bool:
  if isinstance(value, str):
    return value in ("nan", "inf", "-inf")
  return isinstance(value, int | float)


def _stays(event: Event, tag: str, done: set[str]) -> bool:
  """Whether a picture is of an evaluation that will not be done again."""
  return not event.summary.value[0].HasField("image") or (
    tag.split("/")[0] in done
  )


def _paths(folder: pathlib.Path) -> list[pathlib.Path]:
  return sorted(p for p in folder.glob(f"{_KIND}*") if p.suffix != ".tmp")


def _new_path(folder: pathlib.Path) -> pathlib.Path:
  now, host = math.floor(time.time()), socket.gethostname()
  while (folder / f"{_KIND}{now}.{host}").exists():
    now += 1
  return folder / f"{_KIND}{now}.{host}"


def _version() -> Event:
  return Event(wall_time=time.time(), file_version="brain.Event:2")


def appender(folder: pathlib.Path) -> files.Appender:
  """The file of a folder that `mend` has seen, for more events."""
  (path,) = _paths(folder)
  return files.Appender(path)
