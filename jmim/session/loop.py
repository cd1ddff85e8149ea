"""The steps of a run, as a generator.

Between two log points nothing waits for the devices, except that the host
stays at most two steps ahead of them, so that batches cannot pile up.
"""

import collections
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import jax

from jmim.core import method as methods
from jmim.core import state as states
from jmim.runlog import clock as clocks
from jmim.session import program as programs
from jmim.session import ready as readiness
from jmim.session import restore
from jmim.session import session as sessions

AHEAD = 2  # steps the host may be ahead of the devices
Metrics = dict[str, jax.Array]


def make(session: sessions.Session, ready: readiness.Ready) -> "Loop":
  """The loop of a run that is ready; its loss is that of the first player."""
  method, consts = session.parts.method, ready.program.consts

  def advance(state, batch):
    state, metrics = ready.compiled(state, consts, batch)
    metrics[programs.SKIPPED].copy_to_host_async()  # nobody waits for it later
    return state, metrics

  return Loop(
    ready.point,
    advance,
    ready.batches,
    total=session.parts.total,
    loss=methods.loss_name(method, method.players[0]),
    clock=session.clock,
  )


class Loop:
  """Where a run is, and what moves it on.

  Attributes:
    step: steps done.
    state: after them.
    loss: name of the loss that tells whether a step is done, and is watched.
    skipped: not finite steps in a row, of what the devices have done for
      certain: some steps before the last one.
  """

  def __init__(
    self,
    point: restore.Point,
    advance: Callable[[states.State, Any], tuple[states.State, Metrics]],
    batches: Iterator[Any],
    *,
    total: int,
    loss: str,
    clock: clocks.Clock,
  ):
    """Begins at a point of the run.

    Args:
      point: its state is given up by the first step.
      advance: (state, batch) -> (state, metrics); the compiled step.
      batches: those that follow.
      total: steps of the run.
      loss: name of a metric of a step.
      clock: measures the time in which the devices wait for input.
    """
    self.step, self.state, self.loss = point.step, point.state, loss
    self.skipped = 0
    self._advance, self._batches = advance, batches
    self._total, self._clock = total, clock
    self._running: collections.deque[Metrics] = collections.deque()

  def steps(
    self, before: Callable[[int, states.State], None] = lambda *_: None
  ) -> Iterator[tuple[int, Metrics]]:
    """Does one step after the other, to the end of the run.

    Args:
      before: called with the number of each step and the state before it.

    Yields:
      (steps done, metrics of the last one, on the devices). Whoever consumes
      them may `go_to` another point meanwhile.
    """
    while self.step < self._total:
      with self._clock.measure("input", hidden=self._busy):
        batch = next(self._batches)
      before(self.step + 1, self.state)
      self.state, metrics = self._advance(self.state, batch)
      self._running.append(metrics)
      if len(self._running) > AHEAD:
        done = self._running.popleft()
        jax.block_until_ready(done)
        self.skipped = int(done[programs.SKIPPED])
      self.step += 1
      yield self.step, metrics

  def _busy(self) -> bool:
    """Whether the last step is still under way: no device wants a batch yet."""
    if not self._running:
      return False
    return not self._running[-1][self.loss].is_ready()

  def go_to(self, point: restore.Point) -> None:
    """Goes on from another point; the batches have been moved there."""
    self.step, self.state, self.skipped = point.step, point.state, 0
    self._running.clear()
