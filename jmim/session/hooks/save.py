"""Checkpoints: every so many steps, sooner where one could not be written."""

import json
from typing import Any

import jax

from jmim.session import loop as loops
from jmim.session import ready as readiness
from jmim.session import session as sessions
from jmim.session.hooks import due as turns
from jmim.session.hooks import spike


class Save:
  """Saves the state of a run, and what belongs to it.

  Attributes:
    every: steps between two checkpoints; 0: only at the end.
  """

  def __init__(
    self,
    session: sessions.Session,
    ready: readiness.Ready,
    loop: loops.Loop,
    spikes: spike.Spikes,
  ):
    """Keeps its arguments."""
    self.every = session.parts.checkpoint_every
    self._session, self._loop, self._spikes = session, loop, spikes
    self._batches, self._writer = ready.batches, ready.writer

  def due(self, step: int, logged: bool) -> bool:
    """Whether to save after this step.

    Args:
      step: steps done.
      logged: whether a log line was written after it; one that failed is tried
        again then.
    """
    due = turns.due(step, self.every, self._session.parts.total)
    return due or logged and self._session.keeper.retry_due

  def begin(self, step: int) -> None:
    """Copies the state off the devices; writing goes on beside the steps.

    Raises:
      NotSaved: too many writes in a row failed.
      UserError: another process has taken the workdir.
    """
    self._check_lock()
    state = self._loop.state
    jax.block_until_ready(state)  # steps under way are no part of saving
    with self._session.clock.measure("checkpoint"):
      self._session.keeper.save(step, state, self._meta(step), self._writer)

  def finish(self, step: int) -> None:
    """Saves and waits until it is on the disk.

    Raises:
      NotSaved, UserError: as `begin`.
    """
    self._check_lock()
    keeper, state = self._session.keeper, self._loop.state
    with self._session.clock.measure("checkpoint"):
      keeper.save_and_wait(step, state, self._meta(step), self._writer)

  def _check_lock(self) -> None:
    if self._session.lock:
      self._session.lock.check()

  def _meta(self, step: int) -> dict[str, Any]:
    """What the checkpoint of a step holds beside the state."""
    return {
      "config": json.loads(self._session.parts.config.to_json()),
      "position": self._batches.position(step),
      "losses": list(self._spikes.recent),
      "clock": self._session.clock.snapshot(),
    }
