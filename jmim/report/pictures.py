"""The pictures of a run inside its report, as data URIs, within a bound."""

import base64
import pathlib
import re
from collections.abc import Sequence

LIMIT = 24 * 2**20  # bytes of PNG of one run; in the page 4/3 of that
_NAME = re.compile(r"(?P<stem>.+)_(?P<step>\d{8,})\.png")
# Folders that `jmim.modes.sample` makes.
_SAMPLES = re.compile(r"step(?P<step>\d+)_(?P<how>.+)")


def read(
  folder: pathlib.Path, evaluators: Sequence[str], limit: int = LIMIT
) -> tuple[dict[str, list[list]], int]:
  """Pictures of a run, oldest first.

  Args:
    folder: workdir/images, files as `runlog.writer` names them; beside it
      the first part of what --mode=sample made.
    evaluators: names of the run's evaluators, which begin those of files.
    limit: most bytes of all; what is over it goes by `thinned`.

  Returns:
    ({"evaluator/picture": [[step, data URI], ...]}, how many were left out).
  """
  files: dict[str, list[tuple[int, pathlib.Path]]] = {}
  for path in sorted(folder.glob("*.png")):
    if match := _NAME.fullmatch(path.name):
      name = label(match["stem"], evaluators)
      files.setdefault(name, []).append((int(match["step"]), path))
  for path in sorted(folder.parent.glob("samples/*/part_00000.png")):
    if match := _SAMPLES.fullmatch(path.parent.name):
      name = f"--mode=sample/{match['how']}"
      files.setdefault(name, []).append((int(match["step"]), path))
  sizes = {
    name: [(step, path.stat().st_size) for step, path in sorted(ones)]
    for name, ones in files.items()
  }
  kept = thinned(sizes, limit)
  shown = {
    name: [[s, _uri(path)] for s, path in sorted(ones) if s in kept[name]]
    for name, ones in files.items()
  }
  count = sum(map(len, files.values())) - sum(map(len, shown.values()))
  return {name: ones for name, ones in shown.items() if ones}, count


def label(stem: str, evaluators: Sequence[str]) -> str:
  """From recon_sheet to recon/sheet, if there is an evaluator `recon`."""
  begun = [n for n in evaluators if stem.startswith(f"{n}_")]
  if not begun:
    return stem
  name = max(begun, key=len)
  return f"{name}/{stem.removeprefix(name + '_')}"


def thinned(
  sizes: dict[str, list[tuple[int, int]]], limit: int
) -> dict[str, set[int]]:
  """Name -> steps kept, so that all are within `limit` bytes.

  Of the name with most bytes every second picture of the older half goes, and
  again, until it fits; the newest of each name goes last.
  """
  kept = {name: list(ones) for name, ones in sizes.items()}
  weight = lambda name: sum(size for _, size in kept[name])
  while kept and sum(map(weight, kept)) > limit:
    name = max(kept, key=lambda n: (len(kept[n]) > 1, weight(n)))
    older = max(1, len(kept[name]) // 2)
    kept[name] = kept[name][1:older:2] + kept[name][older:]
    if not kept[name]:
      del kept[name]
  return {name: {s for s, _ in kept.get(name, ())} for name in sizes}


def _uri(path: pathlib.Path) -> str:
  return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
