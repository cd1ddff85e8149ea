"""Which batch a step gets, where a rollback skipped a window of batches.

The data position of a run that was never rolled back is its step. A rollback
to step s after step t moves all later steps t - s batches on, so that the
window that went wrong is not met again. The windows are kept in
workdir/skips.json: [[s, t - s], ...].
"""

import itertools
import json
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from jmim.core import files

Skips = Sequence[Sequence[int]]


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
  """The windows of a run; none if it has no such file."""
  path = pathlib.Path(workdir) / "skips.json"
  return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def add(workdir: pathlib.Path, step: int, count: int) -> None:
  """Has `count` batches after `step` skipped from now on; raises OSError."""
  windows = [*read(workdir), [step, count]]
  files.replace(
    pathlib.Path(workdir) / "skips.json", json.dumps(windows) + "\n"
  )
