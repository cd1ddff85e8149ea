"""Weights of a checkpoint without the rest: to look at, to export.

A checkpoint of step 0 is one that `jmim.convert` wrote: it has no optimizer,
and no run continues it.
"""

from typing import Any

import numpy as np

from jmim.core import checkpoint
from jmim.core import checksum
from jmim.core import compare
from jmim.core import errors
from jmim.core import saved


def newest(store: checkpoint.Checkpoints) -> int:
  """The newest step; UserError if there is none."""
  step = store.latest()
  if step is None:
    raise errors.UserError(
      f"no checkpoint in {store.path}", "a trained run",
      "run --mode=train first, or name its --workdir", "--workdir",
    )  # fmt: skip
  return step


def check_trainable(store: checkpoint.Checkpoints) -> None:
  """Raises UserError if the newest checkpoint is of converted weights."""
  if store.latest() == 0:
    raise errors.UserError(
      f"{store.path} holds converted weights", "the workdir of a run",
      "train in another one with init_from.path pointing here", "--workdir",
    )  # fmt: skip


def restore(store: checkpoint.Checkpoints, step: int, like: Any) -> Any:
  """A state with parameters, extra and EMA; the rest of it is empty.

  Where the checkpoint has no EMA and `like` does, that is the parameters.
  Arguments and errors as of `Checkpoints.restore`.
  """
  wanted = {"params": like.params, "extra": like.extra, "ema": like.ema}
  noted = store.meta(step)["arrays"]
  if not any(n.startswith("ema/") for n in noted):
    del wanted["ema"]
  found = store.restore(step, wanted, tuple(wanted))
  zero, ema = np.zeros((), np.int32), found.get("ema", {})
  if like.ema and not ema:
    ema = found["params"]
  return like.replace(
    step=zero + step, params=found["params"], extra=found["extra"], opt={},
    ema=ema, window={}, counted=zero, skipped=zero, skipped_total=zero,
  )  # fmt: skip


def leaf(store: checkpoint.Checkpoints, step: int, name: str) -> np.ndarray:
  """One leaf ("params/main/...") of a checkpoint, verified.

  Raises:
    Damaged: unreadable, or not what was saved.
  """
  where, meta = store.path / str(step), store.meta(step)
  spec = compare.shapes(meta["arrays"])[name]
  old = meta.get("saved_as", {}).get(name, name)
  found = saved.arrays(where, {old: spec})[old]
  saved.check_sums(where, meta["arrays"], {name: checksum.of_host(found)})
  return found
