"""From an open session to a run whose next step can be done.

Data, names and files are checked before the step is compiled, and nothing that
is in the workdir changes before all that can be wrong has been looked at.
"""

import dataclasses
from collections.abc import Callable
from concurrent import futures
from typing import Any

import jax
import jax.numpy as jnp

from jmim.checkpoints import identity
from jmim.checkpoints import init_from
from jmim.checkpoints import weights
from jmim.core import errors
from jmim.core import state as states
from jmim.core import units
from jmim.core import validate
from jmim.core.settings import run as settings
from jmim.cost import summary
from jmim.data import pipeline
from jmim.parallel import sharding
from jmim.runlog import console as consoles
from jmim.runlog import writer as writers
from jmim.session import agreement
from jmim.session import batches as feeds
from jmim.session import data_facts
from jmim.session import manifest
from jmim.session import program as programs
from jmim.session import restore
from jmim.session import seen
from jmim.session import session as sessions
from jmim.session import skips


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
  """What is known of a run before its first step.

  Attributes:
    tables: by `summary.tables`.
    flops: of one example and step.
    peak: FLOP/s of all devices.
    peak_source: how that is known.
  """

  tables: dict[str, Any]
  flops: int
  peak: float
  peak_source: str

  @property
  def peak_text(self) -> str:
    """The peak for people."""
    return f"{consoles.size(self.peak, 'FLOP/s')} ({self.peak_source})"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ready:
  """A run that can be trained.

  Attributes:
    point: where it begins; its state is given up by the first step.
    program: the step.
    compiled: the same, compiled: (state, consts, batch) -> (state, metrics).
    no_sums: () -> (window, counted) of no steps, on the devices.
    batches: those that follow.
    writer: of metrics.jsonl and its like; None on other hosts.
    facts: what log lines are measured by.
  """

  point: restore.Point
  program: programs.Program
  compiled: Callable[..., tuple[states.State, dict[str, jax.Array]]]
  no_sums: Callable[[], tuple[dict[str, jax.Array], jax.Array]]
  batches: feeds.Batches
  writer: writers.Writer | None
  facts: Facts


def prepare(session: sessions.Session) -> Ready:
  """Fresh or restored state, compiled step, the first lines of a run.

  Raises:
    UserError: a mistake that only data, weights or the workdir show.
    NotSaved: the workdir cannot be written.
  """
  weights.check_trainable(session.keeper.store)
  batches, program = restore.begin(session)
  if session.parts.evaluators:  # or their first error would come after hours
    pipeline.check_example(
      session.parts.sources["eval"], session.parts.spec, training=False
    )
  point = _resume(session, program, batches)
  start = point.step if point else 0
  rules = settings.InitFrom()  # where a run goes on, nothing is loaded
  if not point:
    section = session.parts.config.init_from
    rules = validate.build(settings.InitFrom, section, "init_from")
  load = lambda: init_from.load(rules, program.abstract.params)
  loaded = session.group.all_or_none("start read", load, errors.UserError, 8)
  agreement.check_loaded(session.group, loaded)
  writer = _begin_files(session, start)
  facts = _show(session, program)
  if line := init_from.told(rules, program.abstract.params, loaded):
    session.console.print(line)
  if point is None:
    state = init_from.apply(program.init(batches.peek()), loaded)
    point = restore.Point(step=0, state=state)
  compiled = _compile(session, program, point.state)
  if session.writes:
    with session.saving():
      manifest.write(
        session.workdir,
        start,
        parts=session.parts,
        tables=facts.tables,
        peak=facts.peak_text,
        compiled=compiled,
      )
  return Ready(
    point=point,
    program=program,
    compiled=compiled,
    no_sums=_make_no_sums(program),
    batches=batches,
    writer=writer,
    facts=facts,
  )


def _resume(
  session: sessions.Session, program: programs.Program, batches: feeds.Batches
) -> restore.Point | None:
  """The newest intact checkpoint, if there is any; all hosts must see it."""
  if not seen.newest(session):
    return None
  known = identity.read(session.workdir)
  parts, where = session.parts, session.workdir
  identity.check(parts.consts, known, where, parts.method.consts())
  point = restore.newest(session, program, batches)
  if back := restore.cut_short(session, point.step):
    session.console.print(f"the rollback to step {back} was cut short: ended")
    del point  # its state: there may be no room for two
    session.keeper.roll_back(back)
    point = restore.newest(session, program, batches)
  session.console.print(f"resumed from step {point.step}")
  return point


def _begin_files(
  session: sessions.Session, start: int
) -> writers.Writer | None:
  """Writes config.json and opens the files of the log, after step `start`."""
  if not session.writes:
    return None
  with session.saving():
    for line in manifest.config(session.workdir, start, session.parts):
      session.console.print(f"changed: {line}", style="yellow")
    data_facts.write(session.workdir, session.facts)
    if not start:  # what rollbacks of a run skipped whose checkpoints are gone
      (session.workdir / skips.NAME).unlink(missing_ok=True)
    consts = session.parts.consts
    # Those of a resumed run were just compared with what stands there.
    if not start or consts.keys() - identity.read(session.workdir).keys():
      identity.write(session.workdir, consts)
  return session.open_writer(start)


def _show(session: sessions.Session, program: programs.Program) -> Facts:
  """Prints what the run is."""
  parts, config = session.parts, session.parts.config
  session.console.print(
    f"jmim: {config.method.type} on {config.data.name}, "
    f"{units.describe(parts.total, parts.batch, parts.examples)}",
    style="bold",
  )
  work = program.work() // parts.batch
  tables = summary.tables(program.abstract, program.shardings, work)
  summary.show(session.console, tables, parts.mesh, program.missed)
  peak, source = summary.peak(parts.mesh)
  facts = Facts(tables=tables, flops=work.step, peak=peak, peak_source=source)
  session.console.print(f"peak {facts.peak_text}")
  return facts


def _compile(
  session: sessions.Session, program: programs.Program, state: states.State
) -> jax.stages.Compiled:
  """Compiles the step, and the checksums of a save beside it."""
  with (
    session.clock.measure("compile"),
    session.console.busy("compiling the train step"),
    futures.ThreadPoolExecutor(1) as beside,
  ):
    checksums = beside.submit(session.keeper.compile_checksums, state)
    compiled = program.compile(state)
    checksums.result()
  seconds = session.clock.lap()["compile"]
  session.console.print(f"train step compiled in {seconds:.1f} s")
  return compiled


def _make_no_sums(program: programs.Program) -> Callable[[], Any]:
  """A compiled function that makes the sums of an empty window."""
  window = (program.abstract.window, program.abstract.counted)
  return jax.jit(
    lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), window),
    out_shardings=sharding.replicated(program.mesh),
  )
