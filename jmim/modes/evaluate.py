"""--mode=eval: the evaluators of a recipe on the newest checkpoint."""

import pathlib

import jax
import ml_collections

from jmim.session import restore
from jmim.session import stopping
from jmim.session import trained
from jmim.session.hooks import evaluate


def run(
  config: ml_collections.ConfigDict,
  workdir: pathlib.Path,
  allow_changes: bool = False,
) -> dict[str, float]:
  """Evaluates the newest checkpoint: one table, and files in workdir/eval.

  Args:
    config: whose evaluators and data are used.
    workdir: of the run.
    allow_changes: as of `trained.check`.

  Returns:
    "evaluator/number" -> value.

  Raises:
    UserError: also if there is no checkpoint, or it is of another config.
  """
  with (
    stopping.ending(jax.process_count()),
    trained.open(config, workdir, allow_changes) as session,
  ):
    restored = restore.only_weights(session)
    writer = session.open_eval_writer(restored.point.step)
    evaluations = evaluate.Evaluate(
      session, restored.program, restored.batches, writer
    )
    return evaluations.run(list(session.parts.evaluators), restored.point.state)
