"""Training: one screen per phase, and no method's name anywhere.

    run.prepare -> loop -> close

Between two log points nothing waits for the devices, except that the host
stays at most two steps ahead of them, so that batches cannot pile up.
"""

import collections
import pathlib

import jax
import ml_collections

from jmim.core import errors
from jmim.cost import profile
from jmim.report import page
from jmim.runlog import meter
from jmim.runlog import writer as writers
from jmim.session import diagnose
from jmim.session import session as runs
from jmim.session import skips
from jmim.session import spikes
from jmim.session import stopping

AHEAD = 2  # steps the host may be ahead of the devices


def train(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
  """Trains, evaluates, draws, checkpoints; continues what is in workdir.

  Raises:
    UserError: a mistake in the config, data or workdir.
    Diverged: the loss stayed non-finite.
    Preempted: a signal came; everything is saved.
    NotSaved: the workdir could not be written, again and again.
    HostsMissing: other processes did not come.
  """
  run = Run(config, workdir)
  try:
    run.prepare()
    run.group.barrier("ready")
    with stopping.Stop(jax.process_count()) as stop:
      run.loop(stop)
  finally:
    run.close()


def evaluate(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
  """Evaluates the newest checkpoint: one table, and files in workdir/eval.

  Raises:
    UserError: also if there is no checkpoint.
  """
  run = Run(config, workdir, write=False)
  try:
    run.restore_only()
    if jax.process_index() == 0:
      run.writer = writers.Writer(run.workdir / "eval", run.start)
    run.evaluate(list(run.parts.evaluators))
  finally:
    run.close()


class Run(runs.Run):
  """A run that is being trained."""

  profile = profile.Profile(range(0), pathlib.Path())  # until the loop begins

  def loop(self, stop: stopping.Stop) -> None:
    """Steps until the end of the run, or until it is asked to stop."""
    total, step = self.parts.total, self.start
    train = self.parts.config.train
    self.rollbacks = 0
    self.spikes = spikes.Detector(
      train.spike_z, train.spike_window, self.losses
    )
    self._evaluate(step, self._missed(), stop)
    self.console.start(total, step)
    self.running, self.recent = collections.deque(), []
    self.clock.started()
    self.clock.lap()
    self._prepare_profile(total)
    while step < total:
      self._step(step + 1)
      step += 1
      self.console.advance(step)
      logs = step % train.log_steps == 0 or step == total
      if logs:
        self._log(step)
        if (back := self._spike(step)) is not None:
          step = back
          continue
      every = self.parts.checkpoint_every
      if self._due_at(step, every) or logs and self.keeper.owed:
        self._save(step)
      if stop.due(step):
        self._leave(step, stop)
      self._evaluate(step, self._due(step), stop)
    with self.clock.measure("checkpoint"):
      self.keeper.save_surely(total, self.state, self.meta(total), self.writer)
    self.console.stop()
    self.report()
    spent = meter.goodput(self.clock.shares())
    self.console.print(f"done: {total} steps; steps took {spent} of the time")
    self.console.print(f"everything is in {self.workdir}")

  def _prepare_profile(self, total: int) -> None:
    wanted = profile.steps(self.parts.config.train.profile_steps, total)
    if wanted and self.start >= wanted[0]:
      self.console.print("train.profile_steps is behind us: no trace")
    wanted = wanted if self.writes else range(0)
    self.profile = profile.Profile(wanted, self.workdir / "profile")

  def close(self) -> None:
    """Ends threads, files and a trace that has begun."""
    try:
      self.profile.close()
    finally:
      super().close()

  def _step(self, step: int) -> None:
    """The step of that number, from 1 on."""
    with self.clock.measure("input", hidden=self._busy):
      batch = next(self.batches)
    self.profile.before(step, self.state)
    self.state, metrics = self.compiled(self.state, self.parts.consts, batch)
    self.running.append(metrics)
    self.recent.append(metrics[self._loss_name(metrics)])
    if len(self.running) > AHEAD:
      jax.block_until_ready(self.running.popleft())
    if self.profile.ends(step):
      with self.clock.measure("profile"):
        path = self.profile.end(self.state)
        profile.show(
          self.console, path, self.compiled.as_text(), self.profile.count
        )

  def _busy(self) -> bool:
    """Whether the last step is still under way: no device wants a batch yet."""
    if not self.running:
      return False
    last = self.running[-1]
    return not last[self._loss_name(last)].is_ready()

  def _loss_name(self, metrics) -> str:
    """The loss of the first player."""
    name = f"loss/{self.parts.method.players[0]}"
    return name if name in metrics else "loss"

  def _log(self, step: int) -> None:
    """Fetches the sums since the last log line and writes their means."""
    state = self.state
    window, counted, skipped, ever = jax.device_get(
      (state.window, state.counted, state.skipped, state.skipped_total)
    )
    values, shown = self.meter.read(step, window, counted, ever)
    self.console.log(step, self.parts.total, shown)
    if self.writer:
      self.writer.scalars(step, values)
    self.keeper.check(self.writer)
    window, counted = self.zeros()
    self.state = state.replace(window=window, counted=counted)
    if skipped >= self.parts.config.train.max_skips:
      raise diagnose.diverged(self, step, int(skipped))

  # --- spikes

  def _spike(self, step: int) -> int | None:
    """Looks at the losses since the last log line; where to go back to."""
    losses = jax.device_get(self.recent)
    self.recent.clear()
    first = step - len(losses) + 1
    found = self.spikes.see([float(x) for x in losses])
    self.losses = self.spikes.recent
    for i, z in found:
      at = diagnose.describe(self, first + i)
      self.console.print(
        f"loss spike: {float(losses[i]):.4g} at step {first + i}, {z:.1f} "
        f"robust deviations above the median; {at}",
        style="bold yellow",
      )
    rollback = self.parts.config.train.spike_policy == "rollback"
    if not found or not rollback:
      return None
    return self._roll_back(first + found[0][0], step)

  def _roll_back(self, spike: int, step: int) -> int | None:
    """Restores the checkpoint before a spike; returns its step, or None."""
    limit = self.parts.config.train.max_rollbacks
    self.keeper.wait()
    steps = [s for s in self.keeper.store.steps() if s < spike]
    if not steps:
      self.console.print("no checkpoint before it to roll back to")
      return None
    if self.rollbacks >= limit:
      raise errors.Diverged(
        f"the loss spiked at step {spike} after {limit} rollbacks; stopped. "
        "Try a lower optim.lr or optim.clip_norm=1; the limit is "
        "train.max_rollbacks."
      )
    back, self.rollbacks = steps[-1], self.rollbacks + 1
    self.keeper.roll_back(back)
    if self.writes:
      skips.add(self.workdir, back, step - back)
    self.skips = [*self.skips, [back, step - back]]
    self._restore()
    self.spikes.recent = self.losses
    if self.writer:
      self.writer.close()
      self.open_writer()
    self.meter.logged = back
    self.running.clear()
    self.console.print(
      f"rolled back to step {back}; the {step - back} batches since are skipped"
    )
    return back

  # --- evaluators and checkpoints

  def _due_at(self, step: int, every: int) -> bool:
    return step == self.parts.total or (every > 0 and step % every == 0)

  def _due(self, step: int) -> list[str]:
    evaluators = self.parts.evaluators.items()
    return [n for n, (_, every) in evaluators if self._due_at(step, every)]

  def _missed(self) -> list[str]:
    """Evaluators that were due at the restored step but did not finish."""
    if not self.start or not self._due(self.start):
      return []
    lines = writers.read(self.workdir)
    done = {e.get("eval") for e in lines if e["step"] == self.start}
    return [name for name in self._due(self.start) if name not in done]

  def _evaluate(self, step: int, names: list[str], stop: stopping.Stop) -> None:
    """Evaluates, unless asked to stop; what is missed is made up for later."""
    if not names:
      return
    try:
      with self.clock.measure("eval"), stop.cutting():
        self.evaluate(names)
    except stopping.Asked:
      self._leave(step, stop)
    self.report()

  def _leave(self, step: int, stop: stopping.Stop) -> None:
    """Saves and raises Preempted."""
    self.keeper.save_surely(step, self.state, self.meta(step), self.writer)
    self.report()
    raise errors.Preempted(f"{stop.asked} at step {step}: saved")

  def _save(self, step: int) -> None:
    jax.block_until_ready(self.state)  # steps under way are no part of saving
    with self.clock.measure("checkpoint"):
      self.keeper.save(step, self.state, self.meta(step), self.writer)

  def report(self) -> None:
    """Rewrites report.html; whatever is wrong with it stops no run."""
    if not self.writes:
      return
    try:
      page.write([self.workdir], self.workdir / "report.html")
    except Exception as e:  # the run is worth more than a page about it
      text = f"report.html not written: {errors.first_line(e)}"
      self.console.print(text, style="yellow")
