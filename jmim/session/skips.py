"""Which batch a step gets, where a rollback skipped a window of batches.

The data position of a run that was never rolled back is its step. A rollback
to step s after step t moves all later steps t - s batches on, so that the
window that went wrong is not met again. The windows [[s, t - s], ...] are in
every checkpoint, and in workdir/skips.json, where those are too that came after
the newest checkpoint.
"""

import itertools
import json
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from jmim.core import files

Skips = Sequence[Sequence[int]]
NAME = "skips.json"


def position(step: int, skips: Skips) -> int:
  """Number of the batch that follows after `step` steps."""
  return step + sum(n for at, n in skips if at <= step)


def stream(
  start: int, skips: Skips, open_at: Callable[[int], Iterator[Any]]
) -> Iterator[Any]:
  """The batches that follow after `start` steps.

  Args:
    start: steps done.
    skips: (step, batches skipped there) of every rollback.
    open_at: opens the batches from a position on; closed after use.
  """
  while True:
    later = [at for at, _ in skips if at > start]
    stop = min(later) if later else None
    inner = open_at(position(start, skips))
    try:
      yield from itertools.islice(inner, stop and stop - start)
    finally:
      inner.close()
    if stop is None:
      return
    start = stop


def read(workdir: pathlib.Path) -> list[list[int]]:
  """The windows of a run; none if it has no such file, or a broken one."""
  return files.read_json(pathlib.Path(workdir) / NAME, [], fits)


def fits(content: Any) -> bool:
  """Whether something is a list of windows."""
  whole = lambda x: isinstance(x, int) and not isinstance(x, bool) and x >= 0
  return isinstance(content, list) and all(
    isinstance(pair, list) and len(pair) == 2 and all(map(whole, pair))
    for pair in content
  )


def after(step: int, meta: Mapping[str, Any], written: Skips) -> Skips:
  """The windows of a run that goes on from a checkpoint.

  Args:
    step: of the checkpoint.
    meta: of the checkpoint; older ones have no windows.
    written: those of skips.json, which also has those of rollbacks to the
      checkpoint, and to later ones.
  """
  if "skips" not in meta:
    return written
  return [*meta["skips"], *(pair for pair in written if pair[0] >= step)]


def cut_short(step: int, meta: Mapping[str, Any], written: Skips) -> int:
  """The step that a rollback was to go to, which a kill has cut short; or 0.

  It writes its window down, and then deletes the checkpoints after it. One that
  is left is of a step in the window, and does not know of it.

  Args:
    step: of the newest checkpoint.
    meta: of that checkpoint.
    written: as of `after`.
  """
  known = meta.get("skips", written)
  left = lambda at, n: at < step <= at + n and [at, n] not in known
  return min((at for at, n in written if left(at, n)), default=0)


def add(workdir: pathlib.Path, step: int, count: int) -> None:
  """Has `count` batches after `step` skipped from now on; raises OSError."""
  windows = [*read(workdir), [step, count]]
  files.replace(pathlib.Path(workdir) / NAME, json.dumps(windows) + "\n")
