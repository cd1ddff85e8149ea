"""Log lines: the means since the last one."""

import jax
import numpy as np

from jmim.runlog import meter
from jmim.runlog import waits
from jmim.session import diagnose
from jmim.session import loop as loops
from jmim.session import ready as readiness
from jmim.session import session as sessions
from jmim.session.hooks import due as turns


class Log:
  """Writes and prints the means of the steps since the last line.

  Attributes:
    every: steps between two lines.
  """

  def __init__(
    self,
    session: sessions.Session,
    ready: readiness.Ready,
    loop: loops.Loop,
    during: waits.Measure = waits.nothing,
  ):
    """The first line is about the steps from where the run begins.

    `during`: makes the context of what takes longer than a step.
    """
    self._during = during
    self.every = session.parts.config.train.log_steps
    self._session, self._ready, self._loop = session, ready, loop
    self._meter = meter.Meter(
      clock=session.clock,
      batch=session.parts.batch,
      total=session.parts.total,
      flops=ready.facts.flops,
      peak=ready.facts.peak,
      lr=self._lr,
      logged=loop.step,
    )

  def due(self, step: int) -> bool:
    """Whether there is a line after this step."""
    return turns.due(step, self.every, self._session.parts.total)

  def write(self, step: int) -> None:
    """Fetches the sums since the last line and writes their means.

    Raises:
      Diverged: too many steps in a row were not finite.
      NotSaved: too many writes in a row failed.
    """
    session, state = self._session, self._loop.state
    window, counted, skipped, ever = jax.device_get(
      (state.window, state.counted, state.skipped, state.skipped_total)
    )
    values, columns = self._meter.read(step, window, counted, ever)
    session.console.log(step, session.parts.total, columns)
    if self._ready.writer:
      self._ready.writer.scalars(step, values)
    session.keeper.check(self._ready.writer)
    window, counted = self._ready.no_sums()
    self._loop.state = state.replace(window=window, counted=counted)
    self._check_skips(step, int(skipped))

  def check(self, step: int) -> None:
    """Does not wait for a line where too many steps were not finite.

    Raises:
      Diverged: as `write`.
    """
    if self._loop.skipped >= self._session.parts.config.train.max_skips:
      self._check_skips(step, int(self._loop.state.skipped))

  def _check_skips(self, step: int, skipped: int) -> None:
    """Raises Diverged if so many steps in a row are too many."""
    if skipped < self._session.parts.config.train.max_skips:
      return
    with self._during(waits.DIAGNOSIS):  # for which another program is compiled
      raise diagnose.diverged(
        self._session,
        self._ready,
        self._loop.state,
        step=step,
        skipped=skipped,
      )

  def go_to(self, step: int) -> None:
    """The next line is about the steps after this one."""
    self._meter.logged = step

  def _lr(self, step: int) -> float:
    """Learning rate of the first player at a (0-based) step."""
    first = self._session.parts.method.players[0]
    schedule = self._ready.program.step.optimizers[first].schedule
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
      return float(schedule(np.int32(step)))
