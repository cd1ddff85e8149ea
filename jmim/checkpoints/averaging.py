"""The mean of the weights of several checkpoints.

Of one run, or of several that began at the same weights (Step-Video averages
models that were fine-tuned apart; "model soups", Wortsman et al. 2022).
"""

import pathlib
from collections.abc import Sequence

import numpy as np

from jmim.checkpoints import compare
from jmim.checkpoints import weights
from jmim.core import errors

Place = tuple[pathlib.Path, int]  # workdir, step


def places(
  workdirs: Sequence[pathlib.Path], last: int = 1, steps: Sequence[int] = ()
) -> list[Place]:
  """Which checkpoints of each run.

  Args:
    workdirs: of runs.
    last: so many of the newest of each.
    steps: these instead, if there are any.

  Raises:
    UserError: a run that has not got them.
  """
  found: list[Place] = []
  for workdir in workdirs:
    with weights.reading(workdir) as store:
      there = store.steps()
    wanted = list(steps) or there[-last:]
    if missing := [s for s in wanted if s not in there]:
      raise errors.UserError(
        f"{workdir} has no checkpoint of step {missing[0]}",
        f"one of {', '.join(map(str, there)) or 'none'}",
        "keep more of them (train.keep, train.keep_every_steps)",
        "--steps",
      )
    if len(wanted) < (len(steps) or last):
      raise errors.UserError(
        f"{workdir} has {len(wanted)} checkpoints",
        f"{last} of them",
        "keep more of them (train.keep, train.keep_every_steps)",
        "--last",
      )
    found += [(workdir, step) for step in wanted]
  return found


def mean(chosen: Sequence[Place], section: str) -> dict[str, np.ndarray]:
  """Leaf name ("main/...") -> mean over checkpoints, in the leaf's dtype.

  One of them is in memory at a time, beside sums in float64.

  Args:
    chosen: at least one.
    section: "params" or "ema".

  Raises:
    UserError: they have other arrays, or one has nothing of that section.
  """
  sums: dict[str, np.ndarray] = {}
  like: dict[str, np.ndarray] = {}
  for workdir, step in chosen:
    arrays = _section(workdir, step, section)
    like = like or arrays
    if lines := compare.differences(arrays, like):
      raise errors.UserError(
        f"{workdir}, step {step}: {'; '.join(lines[:8])}",
        f"the arrays of {chosen[0][0]}",
        "average runs of one architecture",
        "--workdir",
      )
    for name, x in arrays.items():
      sums[name] = sums.get(name, 0) + x.astype(np.float64)
  mean_of = lambda name: sums[name] / len(chosen)
  return {name: mean_of(name).astype(x.dtype) for name, x in like.items()}


def _section(workdir, step, section):
  """Arrays of one checkpoint."""
  with weights.reading(workdir) as store:
    try:
      return weights.section(store, step, section)
    except FileNotFoundError as e:
      raise errors.UserError(
        f"{workdir}: {e}",
        f"a checkpoint that has {section}",
        "choose other --weights",
        "--weights",
      ) from e
