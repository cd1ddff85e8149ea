"""What went wrong in a step: its examples, and which leaves are not finite."""

import json

import jax
import numpy as np

from jmim.core import errors
from jmim.core import files
from jmim.core import state as states
from jmim.session import batches as feeds
from jmim.session import program as programs
from jmim.session import ready as readiness
from jmim.session import session as sessions


def describe(batches: feeds.Batches, step: int, most: int = 8) -> str:
  """The first examples of a step, and how to look at it."""
  indices = batches.examples(step)
  more = ", ..." * (len(indices) > most)
  text = ", ".join(map(str, indices[:most])) + more
  return f"examples {text}; look at it with --mode=eval --replay_step={step}"


def not_finite(
  program: programs.Program,
  batches: feeds.Batches,
  state: states.State,
  step: int,
) -> list[str]:
  """Names of what is not finite when a step is done.

  Args:
    program: the step function.
    batches: of the run.
    state: that before the step.
    step: the first one is 1.
  """
  stream = batches.after(step - 1)
  state = state.replace(step=np.int32(step - 1))
  try:
    inspect = jax.jit(program.step.inspect)
    finite = inspect(state, program.consts, next(stream))
  finally:
    stream.close()
  return [name for name, x in jax.device_get(finite).items() if not x]


def diverged(
  session: sessions.Session,
  ready: readiness.Ready,
  state: states.State,
  *,
  step: int,
  skipped: int,
) -> errors.Diverged:
  """Writes workdir/diverged.json; returns the error that names the steps.

  Args:
    session: that diverged.
    ready: its program and batches.
    state: which has not moved since the first of the steps.
    step: the last of them.
    skipped: how many they are.
  """
  first = step - skipped + 1
  names = not_finite(ready.program, ready.batches, state, step)
  steps = range(first, step + 1)
  report = {
    "steps": [first, step],
    "not_finite": names,
    "examples": {s: ready.batches.examples(s) for s in steps},
  }
  if session.writes:
    try:
      text = json.dumps(report, indent=1)
      files.replace(session.workdir / "diverged.json", text + "\n")
    except OSError as e:
      session.warn(f"diverged.json not written: {e}")
  before = [s for s in session.keeper.store.steps() if s < first]
  saved = before[-1] if before else None
  return errors.Diverged.at(step, skipped, names, saved)
