"""--mode=train: from a recipe to a trained run, with no method's name anywhere.

The order of what is done after a step is that of the loop below; each of these
is a file of `jmim/session/hooks`.
"""

import contextlib
import pathlib
from typing import NoReturn

import jax
import ml_collections

from jmim.core import errors
from jmim.report import page
from jmim.runlog import console as consoles
from jmim.runlog import meter
from jmim.runlog import waits
from jmim.session import loop as loops
from jmim.session import ready as readiness
from jmim.session import session as sessions
from jmim.session import stopping
from jmim.session import trained
from jmim.session.hooks import evaluate
from jmim.session.hooks import log
from jmim.session.hooks import save
from jmim.session.hooks import spike
from jmim.session.hooks import trace


def run(
  config: ml_collections.ConfigDict,
  workdir: pathlib.Path,
  verbose: bool = False,
  quiet: bool = False,
  heard: sessions.Heard | None = None,
) -> None:
  """Trains, evaluates, draws, checkpoints; continues what is in workdir.

  A run that is finished is left as it is.

  Args:
    config: of the run.
    workdir: its folder.
    verbose: print every module, the memory by part and the largest arrays.
    quiet: print nothing.
    heard: called with each line of metrics.jsonl, on the first host.

  Raises:
    UserError: a mistake in the config, data or workdir; or a finished run with
      another config.
    Diverged: the loss stayed non-finite.
    Preempted: a signal came; everything is saved.
    NotSaved: the workdir could not be written, again and again.
    HostsMissing: other processes did not come.
  """
  with contextlib.ExitStack() as early, contextlib.ExitStack() as stack:
    early.enter_context(stopping.leaving())
    quiet = quiet or jax.process_index() != 0
    console = consoles.Console(quiet=quiet, verbose=verbose)
    opened = sessions.open(
      config, workdir, console=console, heard=heard, watched=True
    )
    session = stack.enter_context(opened)
    if trained.is_finished(session):
      session.console.print(
        f"{workdir} is finished, after {session.parts.total} steps: nothing to "
        "do; raise train.total_* to go on with it"
      )
      return
    ready = readiness.prepare(session)
    session.group.barrier("ready")
    early.close()
    with stopping.Stop(jax.process_count()) as stop:
      session.watch.turn_to(waits.STEP)
      _train(session, ready, stop)
      session.watch.turn_to(waits.END)
      _finish(session)


def _train(
  session: sessions.Session,
  ready: readiness.Ready,
  stop: stopping.Stop,
) -> None:
  """Steps until the end of the run, or until a signal."""
  total, start = session.parts.total, ready.point.step
  watch = session.watch
  loop = loops.make(session, ready)
  logs = log.Log(session, ready, loop, watch.during)
  spikes = spike.Spikes(session, ready, loop)
  saves = save.Save(session, ready, loop, spikes)
  evaluations = evaluate.Evaluate(
    session, ready.program, ready.batches, ready.writer
  )

  def leave() -> NoReturn:
    with watch.during(waits.SAVE):
      done = "saved" if saves.finish(loop.step) else saves.why_not
    _report(session)
    raise errors.Preempted(f"{stop.signal} at step {loop.step}: {done}")

  def evaluate_now(names: list[str]) -> None:
    """What a signal cuts short is made up for when the run is resumed."""
    if not names:
      return
    try:
      with session.clock.measure("eval"), stop.cutting():
        evaluations.run(names, loop.state)
    except stopping.Signalled:
      leave()
    _report(session)

  evaluate_now(evaluations.missed(start))
  with session.console.progress(total, start):
    session.clock.begin_steps()
    session.clock.lap()
    traces = trace.Trace(session, start, ready.compiled)
    for step, metrics in loop.steps(before=traces.before):
      watch.step()
      with watch.during(waits.TRACE):
        traces.after(step, loop.state)
      session.console.advance(step)
      spikes.add(metrics[loop.loss])
      if logs.due(step):
        logs.write(step)
        with watch.during(waits.LOOK):
          back = spikes.handle(step)
        if back:  # the run is at an earlier step
          logs.go_to(loop.step)
          continue
      logs.check(step)
      if saves.due(step, logged=logs.due(step)):
        with watch.during(waits.SAVE):
          saves.begin(step)
      if stop.due(step):
        leave()
      evaluate_now(evaluations.due(step))
    with watch.during(waits.SAVE):
      saves.finish(total)


def _finish(session: sessions.Session) -> None:
  """The last lines of a run."""
  _report(session)
  spent = meter.goodput(session.clock.shares())
  session.console.print(
    f"done: {session.parts.total} steps; steps took {spent} of the time"
  )
  session.console.print(f"everything is in {session.workdir}")


def _report(session: sessions.Session) -> None:
  """Rewrites report.html; whatever is wrong with it stops no run."""
  if not session.writes:
    return
  try:
    with session.watch.during(waits.WRITE):
      page.write([session.workdir], session.workdir / "report.html")
  except Exception as e:  # the run is worth more than a page about it
    text = f"report.html not written: {errors.first_line(e)}"
    session.console.print(text, style="yellow")
