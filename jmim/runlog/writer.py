"""metrics.jsonl, TensorBoard and images/ of a workdir.

Both files hold each step once, whenever the run was killed: what came after
the checkpoint one resumes from is removed, and the other steps are there
because a checkpoint is only begun when everything before it is on the disk.
"""

import json
import math
import pathlib
import re
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np
import PIL.Image

from jmim.core import files
from jmim.runlog import events

LINES = "metrics.jsonl"
_UNSAFE = r"[^\w.\-]"  # in names of files


def _raise(error: OSError) -> None:
  raise error


class Writer:
  """Writes what a run measures; only on the first host.

  Attributes:
    workdir: where; created.
  """

  def __init__(
    self,
    workdir: pathlib.Path,
    step: int = 0,
    failed: Callable[[OSError], None] = _raise,
    board: Any = None,
    place: Callable[[int], Mapping[str, float]] | None = None,
    heard: Callable[[Mapping[str, Any]], None] | None = None,
    ours: Callable[[], bool] = lambda: True,
  ):
    """Opens the files of a run that continues after `step`.

    Args:
      workdir: of the run.
      step: lines and events of later steps are removed.
      failed: called with what could not be written; if it returns, that is
        tried again with the next line.
      board: of `runlog.boards`, which gets the same; or None.
      place: step -> where in the run that is (`events.PLACES`), for each line.
      heard: called with each line.
      ours: whether the files are those of this process still; if not, nothing
        is written.

    Raises:
      OSError: the files cannot be opened.
    """
    self.workdir, self._failed = pathlib.Path(workdir), failed
    self._board, self._place = board, place or (lambda step: {})
    self._heard, self._ours = heard or (lambda line: None), ours
    self._lines, self._events = self._open(step)

  def _open(self, step: int) -> tuple[files.Appender, files.Appender]:
    """(metrics.jsonl, TensorBoard's file) without what is after `step`."""
    (self.workdir / "images").mkdir(parents=True, exist_ok=True)
    path = self.workdir / LINES
    if path.exists():
      _truncate(path, step)
    lines = files.Appender(path)
    folder = self.workdir / "tensorboard"
    self._tags = events.mend(folder, step, read(self.workdir))
    return lines, events.appender(folder)

  def rewind(self, step: int) -> None:
    """Removes what was written of later steps, and goes on after `step`.

    Raises:
      OSError: it cannot be removed.
    """
    self.close()
    self._lines, self._events = self._open(step)

  def scalars(
    self, step: int, values: Mapping[str, float], **details: Any
  ) -> None:
    """One line: step, values and any details (e.g. a protocol).

    Non-finite numbers become strings ("nan"), which JSON has no number for.
    """
    found = {**self._place(step), **values}
    line = {"step": step, **{k: _number(v) for k, v in found.items()}}
    line |= details
    self._add(self._lines, [(json.dumps(line) + "\n").encode()])
    numbers = dict(events.numbers(line))
    records = [
      events.record(events.scalar(t, v, step)) for t, v in numbers.items()
    ]
    self._add(self._events, records)
    if self._board:
      self._board.scalars(step, numbers)
    self._heard(line)

  def describe(self, config: Mapping[str, Any]) -> None:
    """Shows the config in TensorBoard, as text and as hyper-parameters; once.

    Args:
      config: dotted key -> value.
    """
    if events.CONFIG not in self._tags:
      self._add(self._events, events.description(config))

  def image(self, step: int, name: str, pixels: np.ndarray) -> pathlib.Path:
    """Saves uint8 [h, w, 3] as images/<name>_<step>.png; returns the path.

    Whatever the name, the file is in that folder.
    """
    path = self.workdir / "images" / f"{_safe(name)}_{step:08d}.png"
    if not self._ours():
      return path
    try:
      with files.writing(path) as file:
        PIL.Image.fromarray(pixels).save(file, "png")
    except OSError as e:  # a picture that is lost can be drawn again
      self._failed(e)
    self._add(self._events, [events.record(events.image(name, pixels, step))])
    if self._board:
      self._board.image(step, name, pixels)
    return path

  def head(self, step: int, name: str, **content: Any) -> None:
    """Keeps what an evaluator has fitted, as heads/<name>.npz; the newest only.

    Args:
      step: of the network it was fitted on.
      name: of the evaluator.
      **content: arrays and texts.
    """
    path = head(self.workdir, name)
    if not self._ours():
      return
    try:
      path.parent.mkdir(exist_ok=True)
      with files.writing(path) as file:
        np.savez(file, step=step, **content)
    except OSError as e:  # it can be fitted again
      self._failed(e)

  def _add(self, where: files.Appender, records: Any) -> None:
    if not self._ours():
      return
    try:
      where.add(records)
    except OSError as e:
      self._failed(e)

  @property
  def waiting(self) -> bool:
    """Whether something could not be written yet."""
    return bool(self._lines.waiting or self._events.waiting)

  def flush(self) -> None:
    """Has everything reach the disk; raises OSError if it cannot."""
    self._lines.sync()
    self._events.sync()

  def close(self) -> None:
    """Closes the files; raises OSError if something could not be written."""
    try:
      self._lines.close()
    finally:
      self._events.close()


def head(workdir: pathlib.Path, name: str) -> pathlib.Path:
  """Where `Writer.head` keeps what an evaluator of that name has fitted."""
  return workdir / "heads" / f"{_safe(name)}.npz"


def _safe(name: str) -> str:
  """A name of a file, which leads out of no folder."""
  return re.sub(_UNSAFE, "_", name)


def _number(value: Any) -> float | int | str:
  value = value.item() if hasattr(value, "item") else value
  finite = not isinstance(value, float) or math.isfinite(value)
  return value if finite else str(value)


def _truncate(path: pathlib.Path, step: int) -> None:
  """Drops lines of steps after `step`, and a last line cut by a crash."""
  kept = [x for x in read(path.parent) if x["step"] <= step]
  files.replace(path, "".join(json.dumps(x) + "\n" for x in kept))


def read(workdir: str | pathlib.Path) -> list[dict[str, Any]]:
  """Lines of workdir/metrics.jsonl, without what a crash or a disk has cut.

  All that read it do so here: while a run goes on, or after a kill, half of the
  last line is there.

  Raises:
    OSError: it is not there, or cannot be read.
  """
  return [line for line in _parsed(workdir) if line is not None]


def broken(workdir: str | pathlib.Path) -> int:
  """How many lines of workdir/metrics.jsonl, before the last, are none."""
  if not (pathlib.Path(workdir) / LINES).exists():
    return 0
  return sum(line is None for line in _parsed(workdir)[:-1])


def _parsed(workdir: str | pathlib.Path) -> list[dict[str, Any] | None]:
  data = (pathlib.Path(workdir) / LINES).read_bytes()
  text = data.decode("utf-8", errors="replace")
  return [*map(_line, text.split("\n")[: -1 if text[-1:] == "\n" else None])]


def _line(text: str) -> dict[str, Any] | None:
  """A line of numbers; None for what is none."""
  try:
    line = json.loads(text)
  except (ValueError, RecursionError):
    return None
  good = (
    isinstance(line, dict)
    and isinstance(line.get("step"), int)
    and isinstance(line.get("eval", ""), str)
    and isinstance(line.get("protocol", {}), dict)
  )
  return line if good else None
