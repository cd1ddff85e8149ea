"""A step looked at again: which examples, which leaves are not finite.

    python -m jmim.main --mode=eval --replay_step=N --config=... --workdir=...

Batches and draws are functions of the step, and a step that was skipped moved
nothing, so training from the checkpoint before N to N is what happened then.
"""

import pathlib
from typing import Any

import jax
import ml_collections

from jmim.session import diagnose
from jmim.session import session as runs


def replay(
  config: ml_collections.ConfigDict, workdir: pathlib.Path, step: int
) -> dict[str, Any]:
  """Does a step again and tells what happens in it; writes nothing.

  Args:
    config: of the run.
    workdir: of the run.
    step: the first one is 1; a checkpoint before it must be there.

  Returns:
    step, examples, metrics of the step, and names of what is not finite.

  Raises:
    UserError: no checkpoint before that step.
  """
  run = runs.Run(config, workdir, write=False)
  try:
    run.restore_only(before=step)
    train = jax.jit(run.step, out_shardings=(run.shardings, None))
    for _ in range(run.start, step - 1):
      run.state, _ = train(run.state, run.parts.consts, next(run.batches))
    names = diagnose.not_finite(run, step)
    _, metrics = train(run.state, run.parts.consts, next(run.batches))
    found = {
      "step": step,
      "not_finite": names,
      "examples": diagnose.examples(run, step),
      "metrics": {n: float(x) for n, x in jax.device_get(metrics).items()},
    }
    rows = [(n, str(x)) for n, x in found["metrics"].items()]
    rows += [("not finite", ", ".join(names) or "nothing")]
    rows += [("examples", ", ".join(map(str, found["examples"])))]
    run.console.table(f"Step {step} again", ("", "value"), rows)
    return found
  finally:
    run.close()
