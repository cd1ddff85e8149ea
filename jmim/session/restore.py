"""A state of a run on the devices, and what belongs to it."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from jmim.checkpoints import intact
from jmim.checkpoints import weights
from jmim.core import state as states
from jmim.runlog import waits
from jmim.session import batches as feeds
from jmim.session import program as programs
from jmim.session import seen
from jmim.session import session as sessions
from jmim.session import skips


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
  """A point of a run that it can go on from.

  Attributes:
    step: steps done.
    state: after them, on the devices.
    losses: the last ones, which the spike detector compares new ones with.
  """

  step: int
  state: states.State
  losses: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Restored:
  """A run to look at.

  Attributes:
    point: where it is.
    program: its step.
    batches: those that follow.
  """

  point: Point
  program: programs.Program
  batches: feeds.Batches


def begin(
  session: sessions.Session,
) -> tuple[feeds.Batches, programs.Program]:
  """The batches of a run, from step 0 on, and its step, by their shapes.

  Raises:
    UserError: an example that cannot be read.
  """
  batches = feeds.Batches(session.parts, skips=())
  session.closing.callback(batches.close)
  with session.watch.during(waits.FIRST_BATCH):
    first = batches.peek()
  return batches, programs.make(session.parts, first)


def newest(
  session: sessions.Session,
  program: programs.Program,
  batches: feeds.Batches,
  *,
  before: int | None = None,
  how: Callable[[int, Any], Any] | None = None,
) -> Point:
  """The newest checkpoint that is intact; batches and clock go on from it.

  Args:
    session: whose checkpoints are read.
    program: its step.
    batches: moved to that step.
    before: only those of smaller steps; None: all.
    how: (step, shapes) -> state, in place of all that is saved.
  """
  with session.watch.during(waits.RESTORE):
    step, state, meta = intact.restore(
      session.keeper.store,
      program.like,
      warn=session.warn,
      before=before,
      how=how,
    )
  session.clock.resume(meta.get("clock", {}))
  text = json.dumps(skips.read(session.workdir))
  written = json.loads(session.group.of_first("skips read", text))
  batches.skips = [*skips.after(step, meta, written)]
  batches.go_to(step)
  return Point(step=step, state=state, losses=tuple(meta.get("losses", ())))


def cut_short(session: sessions.Session, step: int) -> int:
  """The step that a rollback was to go to when it was killed; 0: there is none.

  Args:
    session: of a run that is trained; of another it is 0.
    step: of its newest checkpoint.
  """
  back, store = 0, session.keeper.store
  if session.writes:
    written = skips.read(session.workdir)
    back = skips.cut_short(step, store.meta(step), written)
    back = back if back in store.steps() else 0
  return int(session.group.of_first("rollback cut short", str(back)))


def only_weights(session: sessions.Session) -> Restored:
  """The weights of the newest checkpoint, for looking at them.

  Raises:
    UserError: there is none.
  """
  store = session.keeper.store
  _look(session)
  batches, program = begin(session)
  how = lambda step, like: weights.restore(store, step, like)
  point = newest(session, program, batches, how=how)
  return Restored(point=point, program=program, batches=batches)


def before(session: sessions.Session, step: int) -> Restored:
  """All of the newest checkpoint before a step, to go on to that step.

  Raises:
    UserError: there is none.
  """
  _look(session, step)
  batches, program = begin(session)
  point = newest(session, program, batches, before=step)
  return Restored(point=point, program=program, batches=batches)


def _look(session: sessions.Session, step: int | None = None) -> None:
  """Raises UserError, before any data is read, if there is no checkpoint.

  To which hosts a network disk shows the newest late, they wait for it.

  Args:
    session: of the run.
    step: before which there must be one; None: any.
  """
  seen.newest(session)
  weights.newest(session.keeper.store, step)
