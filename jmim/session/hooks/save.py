"""Checkpoints: every so many steps, sooner where one could not be written."""

import json
from typing import Any

import jax

from jmim.core import errors
from jmim.core import state as states
from jmim.session import loop as loops
from jmim.session import ready as readiness
from jmim.session import session as sessions
from jmim.session.hooks import due as turns
from jmim.session.hooks import spike


class Save:
  """Saves the state of a run, and what belongs to it.

  Attributes:
    every: steps between two checkpoints; 0: only at the end.
    why_not: a line on the last one that was put off.
  """

  def __init__(
    self,
    session: sessions.Session,
    ready: readiness.Ready,
    loop: loops.Loop,
    spikes: spike.Spikes,
  ):
    """Keeps its arguments."""
    self.every, self._postponed = session.parts.checkpoint_every, False
    self.why_not = ""
    self._session, self._loop, self._spikes = session, loop, spikes
    self._batches, self._writer = ready.batches, ready.writer

  def due(self, step: int, logged: bool) -> bool:
    """Whether to save after this step.

    Args:
      step: steps done.
      logged: whether a log line was written after it; one that failed, or was
        put off, is tried again then.
    """
    due = turns.due(step, self.every, self._session.parts.total)
    again = self._session.keeper.retry_due or self._postponed
    return due or logged and again

  def begin(self, step: int) -> None:
    """Copies the state off the devices; writing goes on beside the steps.

    While steps are not finite nothing is saved: a run that diverges would push
    out, one by one, the checkpoints that it could go on from.

    Raises:
      NotSaved: too many writes in a row failed.
      UserError: another process has taken the workdir.
    """
    self._check_lock()
    state = self._loop.state
    jax.block_until_ready(state)  # steps under way are no part of saving
    if self._put_off(step, state):
      return
    with self._session.clock.measure("checkpoint"):
      self._session.keeper.save(step, state, self._meta(step), self._writer)

  def finish(self, step: int) -> bool:
    """Saves and waits until it is on the disk.

    Returns:
      Whether it did: not where `begin` would not, but after the last step.

    Raises:
      NotSaved, UserError: as `begin`.
    """
    self._check_lock()
    keeper, state = self._session.keeper, self._loop.state
    if step < self._session.parts.total and self._put_off(step, state):
      keeper.wait()
      return False
    with self._session.clock.measure("checkpoint"):
      keeper.save_and_wait(step, state, self._meta(step), self._writer)
    return True

  def _put_off(self, step: int, state: states.State) -> bool:
    """Whether the last steps were not finite; says so once."""
    bad, before = int(state.skipped), self._postponed
    self._postponed = bad > 0
    if bad and not before:
      self.why_not = (
        f"no checkpoint at step {step}: the last {bad} steps were not finite"
      )
      self._session.console.print(self.why_not, style="yellow")
    return self._postponed

  def _check_lock(self) -> None:
    """Ends all hosts if the first one no longer holds the workdir."""
    lock, group = self._session.lock, self._session.group
    check = lock.check if lock else lambda: None
    group.all_or_none("lock looked at", check, errors.UserError)

  def _meta(self, step: int) -> dict[str, Any]:
    """What the checkpoint of a step holds beside the state."""
    return {
      "config": json.loads(self._session.parts.config.to_json()),
      "position": self._batches.position(step),
      "skips": [[*pair] for pair in self._batches.skips],
      "losses": list(self._spikes.recent),
      "clock": self._session.clock.snapshot(),
    }
