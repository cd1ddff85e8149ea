"""What went wrong in a step: its examples, and which leaves are not finite."""

import json

import jax
import numpy as np

from jmim.core import errors
from jmim.core import files
from jmim.data import pipeline
from jmim.session import session as runs
from jmim.session import skips


def examples(run: runs.Run, step: int) -> list[int]:
  """Indices of the examples of a step (the first one is 1), slot by slot.

  A broken example that was replaced by the next intact one is named itself.
  """
  parts = run.parts
  stream = pipeline.stream_of(parts.sources["train"], parts.spec)
  slots = stream.slots(skips.position(step - 1, run.skips))[1]
  return [int(i) for i in slots]


def describe(run: runs.Run, step: int, shown: int = 8) -> str:
  """The first examples of a step, and how to look at it."""
  indices = examples(run, step)
  more = ", ..." * (len(indices) > shown)
  listed = ", ".join(map(str, indices[:shown])) + more
  return f"examples {listed}; look at it with --mode=eval --replay_step={step}"


def not_finite(run: runs.Run, step: int) -> list[str]:
  """Names of what is not finite when a step is done on the state now.

  Args:
    run: whose state is that before the step.
    step: the first one is 1.
  """
  batches = run._stream(step - 1)
  state = run.state.replace(step=np.int32(step - 1))
  try:
    fine = jax.jit(run.step.inspect)(state, run.parts.consts, next(batches))
  finally:
    batches.close()
  return [name for name, x in jax.device_get(fine).items() if not x]


def diverged(run: runs.Run, step: int, skipped: int) -> errors.Diverged:
  """Writes workdir/diverged.json; returns the error that names the steps.

  Args:
    run: whose state has not moved since the first of the steps.
    step: the last of them.
    skipped: how many they are.
  """
  first, names = step - skipped + 1, not_finite(run, step)
  report = {
    "steps": [first, step],
    "not_finite": names,
    "examples": {s: examples(run, s) for s in range(first, step + 1)},
  }
  if run.writes:
    try:
      text = json.dumps(report, indent=1)
      files.replace(run.workdir / "diverged.json", text + "\n")
    except OSError as e:
      run.console.print(f"diverged.json not written: {e}", style="bold red")
  return errors.Diverged.at(step, skipped, names)
