"""Evaluations: each evaluator every so many steps, and after the last one."""

from typing import Any

from jmim.core import state as states
from jmim.evals.lib import context as contexts
from jmim.evals.lib import runner
from jmim.runlog import waits
from jmim.runlog import writer as writers
from jmim.session import assemble
from jmim.session import batches as feeds
from jmim.session import program as programs
from jmim.session import seen
from jmim.session import session as sessions
from jmim.session.hooks import due as turns


class Evaluate:
  """Runs the evaluators of a run on its state.

  Attributes:
    every: evaluator -> steps between its runs; 0: only after the last step.
  """

  def __init__(
    self,
    session: sessions.Session,
    program: programs.Program,
    batches: feeds.Batches,
    writer: writers.Writer | None,
  ):
    """`writer`: of what is measured; None: nothing is written."""
    evaluators = session.parts.evaluators.items()
    self.every = {name: every for name, (_, every) in evaluators}
    self._session, self._writer = session, writer
    self._context = make_context(
      session.parts, program, batches, session.watch.during
    )

  def due(self, step: int) -> list[str]:
    """Names of those that run after this step."""
    total = self._session.parts.total
    return [n for n, e in self.every.items() if turns.due(step, e, total)]

  def missed(self, step: int) -> list[str]:
    """Names of those due at the step the run goes on from that did not end."""
    if not step or not self.due(step):
      return []
    done = seen.evaluated(self._session, step)
    return [name for name in self.due(step) if name not in done]

  def run(self, names: list[str], state: states.State) -> dict[str, float]:
    """Runs evaluators on a state; writes, prints and returns their numbers."""
    session = self._session
    with session.watch.during(waits.EVALUATIONS):
      numbers = runner.run(
        {name: session.parts.evaluators[name][0] for name in names},
        self._context,
        state=state,
        console=session.console,
        writer=self._writer,
        data=session.parts.config.data,
      )
    session.keeper.record_metric(self._context.step, numbers)
    return numbers


def make_context(
  parts: assemble.Parts,
  program: programs.Program,
  batches: feeds.Batches,
  during: waits.Measure,
) -> contexts.Context:
  """What evaluators see of a run, before it is pointed at a state."""
  return contexts.Context(
    parts.method,
    parts.mesh,
    spec=parts.spec,
    sources=parts.sources,
    splits=parts.splits,
    consts=parts.consts,
    fresh=lambda: _fresh(program, batches),
    seed=parts.config.seed,
    during=during,
  )


def _fresh(
  program: programs.Program, batches: feeds.Batches
) -> tuple[Any, Any]:
  """(params, extra) as they were before the first step."""
  stream = batches.after(0)
  fresh = program.init_weights(next(stream))
  stream.close()
  return fresh
