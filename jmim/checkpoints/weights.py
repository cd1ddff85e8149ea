"""Weights of a checkpoint without the rest: to look at, to export.

A checkpoint of step 0 is one that `jmim.convert` wrote: it has no optimizer,
and no run continues it.
"""

import contextlib
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import numpy as np

from jmim.checkpoints import checksum
from jmim.checkpoints import compare
from jmim.checkpoints import folder as saved
from jmim.checkpoints import store as checkpoint
from jmim.core import errors

SECTIONS = {"raw": "params", "ema": "ema"}  # of a checkpoint


@contextlib.contextmanager
def reading(workdir: pathlib.Path) -> Iterator[checkpoint.Checkpoints]:
  """The checkpoints of a run, to look at: nothing is created or cleaned.

  Args:
    workdir: of the run, which may be going on.
  """
  store = checkpoint.Checkpoints(workdir, write=False)
  try:
    yield store
  finally:
    store.close()


def newest(store: checkpoint.Checkpoints, before: int | None = None) -> int:
  """The newest step, or the newest of those before one.

  Raises:
    UserError: there is none.
  """
  steps = [s for s in store.steps() if before is None or s < before]
  if not steps:
    limit = "" if before is None else f" before step {before}"
    raise errors.UserError(
      f"no checkpoint{limit} in {store.path}",
      "a trained run",
      "run --mode=train first, or name its --workdir",
      "--workdir",
    )
  return steps[-1]


def check_trainable(store: checkpoint.Checkpoints) -> None:
  """Raises UserError if the newest checkpoint is of converted weights."""
  if store.latest() == 0:
    raise errors.UserError(
      f"{store.path} holds converted weights",
      "the workdir of a run",
      "train in another one with init_from.path pointing here",
      "--workdir",
    )


def restore(store: checkpoint.Checkpoints, step: int, like: Any) -> Any:
  """A state with parameters, extra and EMA; the rest of it is empty.

  Where the checkpoint has no EMA and `like` does, that is the parameters.
  Arguments and errors as of `Checkpoints.restore`.
  """
  sections = {"params": like.params, "extra": like.extra, "ema": like.ema}
  if not any(n.startswith("ema/") for n in store.meta(step)["arrays"]):
    del sections["ema"]
  trees = store.restore(step, sections, tuple(sections))
  zero, ema = np.zeros((), np.int32), trees.get("ema", {})
  if like.ema and not ema:
    ema = trees["params"]
  return like.replace(
    step=zero + step,
    params=trees["params"],
    extra=trees["extra"],
    opt={},
    ema=ema,
    window={},
    counted=zero,
    skipped=zero,
    skipped_total=zero,
  )


def leaf(store: checkpoint.Checkpoints, step: int, name: str) -> np.ndarray:
  """One leaf ("params/main/...") of a checkpoint, verified.

  Raises:
    Damaged: unreadable, or not what was saved.
  """
  return _read(store, step, lambda n: n == name)[name]


def section(
  store: checkpoint.Checkpoints, step: int, name: str
) -> dict[str, np.ndarray]:
  """Name (without the section) -> array of one part of a checkpoint.

  Args:
    store: of the run.
    step: of the checkpoint.
    name: "params", "ema" or "extra"; nothing else is read.

  Raises:
    FileNotFoundError: nothing of that section in it.
    Damaged: unreadable, or not what was saved.
  """
  start = f"{name}/"
  arrays = _read(store, step, lambda n: n.startswith(start))
  if not arrays:
    raise FileNotFoundError(f"no {name} in {store.path / str(step)}")
  return {n.removeprefix(start): x for n, x in arrays.items()}


def verify(store: checkpoint.Checkpoints, step: int) -> None:
  """Reads all of a checkpoint, a section at a time, in memory of the host.

  Raises:
    Damaged: unreadable, or not what was saved.
  """
  first = lambda name: name.split("/")[0]
  for part in dict.fromkeys(map(first, store.meta(step)["arrays"])):
    _read(store, step, lambda n, part=part: first(n) == part)


def _read(
  store: checkpoint.Checkpoints, step: int, chosen: Callable[[str], bool]
) -> dict[str, np.ndarray]:
  """Name -> array of the chosen names, verified; nothing else is read."""
  where, meta = store.path / str(step), store.meta(step)
  specs = {n: x for n, x in compare.shapes(meta["arrays"]).items() if chosen(n)}
  if not specs:
    return {}
  old = {n: meta.get("saved_as", {}).get(n, n) for n in specs}
  arrays = saved.arrays(where, {old[n]: x for n, x in specs.items()})
  arrays = {n: arrays[o] for n, o in old.items()}
  sums = {n: checksum.of_host(x) for n, x in arrays.items()}
  saved.check_sums(where, meta["arrays"], sums)
  return arrays


def read_section(workdir: pathlib.Path, name: str) -> dict[str, np.ndarray]:
  """Leaf name -> array of one part of the newest checkpoint of a run.

  Args:
    workdir: of the run.
    name: as of `section`. "ema" of converted weights is what was converted:
      whatever the authors published stands for both.

  Raises:
    FileNotFoundError: no checkpoint, or nothing of that section in it.
    UserError: it cannot be read.
  """
  return read_sections(workdir, name)[name]


def read_sections(
  workdir: pathlib.Path, name: str, *more: str
) -> dict[str, dict[str, np.ndarray]]:
  """Several parts of the newest checkpoint, all of one step.

  The run may go on meanwhile, save and delete.

  Args:
    workdir: of the run.
    name: as of `read_section`.
    *more: further sections, {} where there is nothing of them.

  Raises:
    FileNotFoundError, UserError: as `read_section`.
  """
  with reading(workdir) as store:
    while steps := store.steps():
      step = steps[-1]
      converted = name == "ema" and step == 0
      try:
        found = {name: section(store, step, "params" if converted else name)}
        for other in more:
          with contextlib.suppress(FileNotFoundError):
            found[other] = section(store, step, other)
        return dict.fromkeys(more, {}) | found
      except errors.Damaged:
        if step in store.steps():  # else the run went on
          raise
    raise FileNotFoundError(f"no checkpoint in {store.path}")
