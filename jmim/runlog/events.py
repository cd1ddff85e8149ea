"""TensorBoard's event files, so that each value is there once.

A run that was killed leaves events of steps it will do again, or half a
record at the end, and may lack some that metrics.jsonl has. `mend` makes the
files agree with the lines of metrics.jsonl, keeping the times of day.
"""

import contextlib
import math
import os
import pathlib
import socket
import struct
import time
from collections.abc import Container
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorboardX.proto.event_pb2
import tensorboardX.record_writer
import tensorboardX.summary

from jmim.core import files
from jmim.runlog import event_index

Event = tensorboardX.proto.event_pb2.Event
Line = Mapping[str, Any]
_KIND = "events.out.tfevents."
# Where in its run a line of metrics.jsonl is: Unix time [s], epochs, images.
PLACES = ("time", "epoch", "images")
CONFIG = "config/text_summary"  # as the plugin for texts has it


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


def description(config: Mapping[str, Any]) -> list[bytes]:
  """Records that show a config as text and hyper-parameters.

  The text, of the tag CONFIG, comes last: where it is, all is, also after a
  crash.

  Args:
    config: dotted key -> value.
  """
  rows = "\n".join(f"| {k} | {v} |" for k, v in config.items())
  text = f"| key | value |\n|---|---|\n{rows}"
  plain = {
    k: v if isinstance(v, bool | int | float | str) else str(v)
    for k, v in config.items()
  }
  experiment, start, _ = tensorboardX.summary.hparams(plain, {"loss": 0.0})
  made = [experiment, start, tensorboardX.summary.text(CONFIG, text)]
  tags = (*(x.value[0].tag for x in made[:-1]), CONFIG)
  return [record(_event(x, t, 0)) for x, t in zip(made, tags, strict=True)]


def _event(summary: Any, tag: str, step: int) -> Event:
  summary.value[0].tag = tag  # as it is, not as tensorboardX cleans it
  return Event(wall_time=time.time(), step=step, summary=summary)


def mend(
  folder: pathlib.Path, step: int, lines: Iterable[Line]
) -> frozenset[str]:
  """Makes the files agree with the lines up to `step`.

  Args:
    folder: of the event files; created.
    step: that the run continues after.
    lines: of metrics.jsonl up to that step.

  Returns:
    tags of what stays.

  Does nothing where they agree; else all goes into one new file, before the
  old ones are removed. No event that stays is made: its bytes are copied.
  """
  folder.mkdir(parents=True, exist_ok=True)
  paths = _paths(folder)
  found = event_index.read(paths)
  done, numbers_of = set(), {}
  for line in lines:
    if "eval" in line and line["step"] == step:
      done.add(line["eval"])
    for tag, value in numbers(line):
      numbers_of[line["step"], tag] = float(value)
  kept = _kept(found, step, done)
  tags = [found.tags[tag] for tag in found.tag[kept].tolist()]
  for place in zip(found.step[kept].tolist(), tags, strict=True):
    numbers_of.pop(place, None)
  heads = len(paths)  # each file begins with its version
  agree = found.whole and len(found.step) == len(kept) + heads
  if len(paths) != 1 or not agree or numbers_of:
    _rewrite(folder, paths, found, kept=kept, missing=numbers_of)
    for path in paths:
      path.unlink()
  return frozenset(tags)


def _kept(
  found: event_index.Index, step: int, done: Container[str]
) -> np.ndarray:
  """Which events stay, in order: of each step and tag the first."""
  again = np.array([tag.split("/")[0] not in done for tag in found.tags], bool)
  valued = found.tag >= 0
  # A picture of an evaluation that will be done again goes.
  undone = found.image & valued
  undone[undone] = again[found.tag[undone]]
  stays = valued & ((found.step < step) | (found.step == step) & ~undone)
  (at,) = np.nonzero(stays)
  pairs = np.stack([found.step[at], found.tag[at]], axis=1)
  _, first = np.unique(pairs, axis=0, return_index=True)
  return at[np.sort(first)]


def _rewrite(
  folder: pathlib.Path,
  paths: Sequence[pathlib.Path],
  found: event_index.Index,
  *,
  kept: np.ndarray,
  missing: Mapping[tuple[int, str], float],
) -> None:
  """One new file of the events that stay and those that are missing."""
  new = [record(scalar(tag, value, at)) for (at, tag), value in missing.items()]
  steps = np.array([*found.step[kept].tolist(), *(at for at, _ in missing)])
  target = _new_path(folder)
  temporary = target.with_name(f"{target.name}.tmp")
  with contextlib.ExitStack() as stack:
    stack.callback(temporary.unlink, missing_ok=True)
    sources = [stack.enter_context(path.open("rb")) for path in paths]
    file = stack.enter_context(temporary.open("wb"))
    file.write(record(_version()))
    for i in np.argsort(steps, kind="stable").tolist():
      if i >= len(kept):
        file.write(new[i - len(kept)])
        continue
      source = sources[found.file[kept[i]]]
      source.seek(int(found.start[kept[i]]))
      file.write(source.read(int(found.size[kept[i]])))
    file.flush()
    os.fsync(file.fileno())
    temporary.replace(target)


def numbers(line: Line) -> list[tuple[str, float | str]]:
  """(tag, number) of a line of metrics.jsonl; "nan" and its like too."""
  known = ("step", "eval", *PLACES)
  plain = {k: v for k, v in line.items() if k not in known}
  return [(k, v) for k, v in plain.items() if _is_number(v)]


def _is_number(value: Any) -> bool:
  if isinstance(value, str):
    return value in ("nan", "inf", "-inf")
  return isinstance(value, int | float)


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
