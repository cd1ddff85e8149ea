"""--mode=eval --replay_step=N: re-runs one step and reports what is not finite.

    python -m jmim.main --mode=eval --replay_step=N --config=... --workdir=...

Batches and draws are functions of the step, and a step that was skipped moved
nothing, so training from the checkpoint before N to N is what happened then.
"""

import pathlib
from typing import Any

import jax
import ml_collections

from jmim.runlog import waits
from jmim.session import diagnose
from jmim.session import restore
from jmim.session import stopping
from jmim.session import trained


def run(
  config: ml_collections.ConfigDict,
  workdir: pathlib.Path,
  replay_step: int,
  allow_changes: bool = False,
) -> dict[str, Any]:
  """Re-runs one step and prints its metrics and examples; writes nothing.

  Args:
    config: of the run.
    workdir: of the run.
    replay_step: the first one is 1; a checkpoint before it must be there.
    allow_changes: as of `trained.check`.

  Returns:
    step, examples, metrics of the step, and names of what is not finite.

  Raises:
    UserError: no checkpoint before that step.
  """
  with (
    stopping.ending(jax.process_count()),
    trained.open(config, workdir, allow_changes) as session,
  ):
    restored = restore.before(session, replay_step)
    program, batches = restored.program, restored.batches
    step = jax.jit(program.step, out_shardings=(program.shardings, None))
    state = restored.point.state
    for _ in range(restored.point.step, replay_step - 1):
      with session.watch.during(waits.BATCH):
        batch = next(batches)
      state, _ = step(state, program.consts, batch)
    names = diagnose.not_finite(program, batches, state, replay_step)
    _, metrics = step(state, program.consts, next(batches))
    report = {
      "step": replay_step,
      "not_finite": names,
      "examples": batches.examples(replay_step),
      "metrics": {n: float(x) for n, x in jax.device_get(metrics).items()},
    }
    rows = [(n, str(x)) for n, x in report["metrics"].items()]
    rows += [("not finite", ", ".join(names) or "nothing")]
    rows += [("examples", ", ".join(map(str, report["examples"])))]
    session.console.table(f"Step {replay_step} again", ("", "value"), rows)
    return report
