"""metrics.jsonl, TensorBoard and images/ of a workdir."""

import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import PIL.Image
import tensorboardX


class Writer:
  """Writes what a run measures; only on the first host.

  Attributes:
    workdir: where; created.
  """

  def __init__(self, workdir: pathlib.Path, step: int = 0):
    """Opens the files of a run that continues after `step`.

    Lines of later steps, written after the checkpoint one resumes from, are
    removed, so that metrics.jsonl has each step once.
    """
    self.workdir = pathlib.Path(workdir)
    self.workdir.mkdir(parents=True, exist_ok=True)
    (self.workdir / "images").mkdir(exist_ok=True)
    self.path = self.workdir / "metrics.jsonl"
    if self.path.exists():
      _truncate(self.path, step)
    self._file = self.path.open("a")
    self._board = tensorboardX.SummaryWriter(
      str(self.workdir / "tensorboard"), purge_step=step + 1
    )

  def scalars(
    self, step: int, values: Mapping[str, float], **details: Any
  ) -> None:
    """One line: step, values and any details (e.g. a protocol).

    Non-finite numbers become strings ("nan"), which JSON has no number for.
    """
    line = {"step": step, **{k: _number(v) for k, v in values.items()}}
    self._file.write(json.dumps({**line, **details}) + "\n")
    self._file.flush()
    for name, value in values.items():
      self._board.add_scalar(name, value, step)

  def image(self, step: int, name: str, pixels: np.ndarray) -> pathlib.Path:
    """Saves uint8 [h, w, 3] as images/<name>_<step>.png; returns the path."""
    safe = name.replace("/", "_")
    path = self.workdir / "images" / f"{safe}_{step:08d}.png"
    PIL.Image.fromarray(pixels).save(path)
    self._board.add_image(name, pixels, step, dataformats="HWC")
    return path

  def flush(self) -> None:
    """Makes everything visible to readers."""
    self._file.flush()
    self._board.flush()

  def close(self) -> None:
    """Closes the files."""
    self._file.close()
    self._board.close()


def _number(value: Any) -> float | int | str:
  value = value.item() if hasattr(value, "item") else value
  finite = not isinstance(value, float) or math.isfinite(value)
  return value if finite else str(value)


def _truncate(path: pathlib.Path, step: int) -> None:
  """Drops lines of steps after `step`, and a last line cut by a crash."""
  kept = []
  for line in path.read_text().splitlines():
    try:
      entry = json.loads(line)
    except json.JSONDecodeError:
      continue  # a crash in the middle of a write leaves half a line
    if entry["step"] <= step:
      kept.append(line)
  temporary = path.with_suffix(".tmp")
  temporary.write_text("".join(line + "\n" for line in kept))
  temporary.replace(path)


def read(workdir: str | pathlib.Path) -> list[dict[str, Any]]:
  """All lines of workdir/metrics.jsonl."""
  text = (pathlib.Path(workdir) / "metrics.jsonl").read_text()
  return [json.loads(line) for line in text.splitlines()]
