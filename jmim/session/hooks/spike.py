"""Loss spikes: looked for at every log line; a warning, or a rollback."""

import jax

from jmim.core import errors
from jmim.session import diagnose
from jmim.session import loop as loops
from jmim.session import ready as readiness
from jmim.session import restore
from jmim.session import session as sessions
from jmim.session import skips
from jmim.session import spikes


class Spikes:
  """Collects the losses of a run and looks for those that jump."""

  def __init__(
    self,
    session: sessions.Session,
    ready: readiness.Ready,
    loop: loops.Loop,
  ):
    """Begins with the losses before the point where the run begins."""
    train = session.parts.config.train
    self._session, self._ready, self._loop = session, ready, loop
    self._detector = spikes.Detector(
      train.spike_z, train.spike_window, ready.point.losses
    )
    self._rolls_back = train.spike_policy == "rollback"
    # Those of earlier starts count too.
    self._rollbacks, self._most = len(ready.batches.skips), train.max_rollbacks
    self._new: list[jax.Array] = []  # losses since the last look

  @property
  def recent(self) -> list[float]:
    """The losses that new ones are compared with; part of a checkpoint."""
    return self._detector.recent

  def add(self, loss: jax.Array) -> None:
    """The loss of a step, on the devices."""
    self._new.append(loss)

  def handle(self, step: int) -> bool:
    """Looks at the losses since the last time.

    Args:
      step: steps done.

    Returns:
      Whether the run has been rolled back: the loop is at an earlier step.

    Raises:
      Diverged: it has been rolled back too often.
    """
    losses = [float(x) for x in jax.device_get(self._new)]
    self._new.clear()
    first = step - len(losses) + 1
    jumps = self._detector.update(losses)
    for i, z in jumps:
      at = diagnose.describe(self._ready.batches, first + i)
      self._session.console.print(
        f"loss spike: {losses[i]:.4g} at step {first + i}, {z:.1f} "
        f"robust deviations above the median; {at}",
        style="bold yellow",
      )
    if not jumps or not self._rolls_back:
      return False
    return self._roll_back(first + jumps[0][0], step)

  def _note(self, step: int, count: int) -> None:
    """Has the first host write a window down, and all know.

    Raises:
      NotSaved: it cannot be written; no checkpoint is lost.
    """
    session = self._session
    write = lambda: session.writes and skips.add(session.workdir, step, count)
    error = session.group.attempt("skips written", write, OSError)[1]
    with session.saving():
      if error:
        raise error

  def _roll_back(self, spike: int, step: int) -> bool:
    """Goes back to the checkpoint before a spike, if there is one.

    The batches since then, up to `step`, are skipped from now on.
    """
    session = self._session
    session.keeper.wait()
    steps = [s for s in session.keeper.store.steps() if s < spike]
    newest = str(max(steps, default=0))
    back = int(session.group.of_first("step to go back to", newest))
    if not back:
      session.console.print("no checkpoint before it to roll back to")
      return False
    if self._rollbacks >= self._most:
      raise errors.Diverged(
        f"the loss spiked at step {spike} after {self._most} rollbacks; "
        "stopped. Try a lower optim.lr or optim.clip_norm=1; the limit is "
        "train.max_rollbacks."
      )
    self._rollbacks += 1
    self._note(back, step - back)  # before anything is deleted
    session.keeper.roll_back(back)
    self._ready.batches.skip(back, step - back)
    point = restore.newest(session, self._ready.program, self._ready.batches)
    self._detector.reset(point.losses)
    if self._ready.writer:
      with session.saving():
        self._ready.writer.rewind(point.step)
    self._loop.go_to(point)
    session.console.print(
      f"rolled back to step {point.step}; "
      f"the {step - back} batches since are skipped"
    )
    return True
