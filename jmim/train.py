"""Training: one screen per phase, and no method's name anywhere.

    assemble -> state (fresh or restored) -> compile -> loop -> close

Between two log points nothing waits for the devices, except that the host
stays at most two steps ahead of them, so that batches cannot pile up.
"""

import collections
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from jmim import assemble
from jmim.core import checkpoint
from jmim.core import clock as clocks
from jmim.core import config as configs
from jmim.core import console as consoles
from jmim.core import errors
from jmim.core import flops
from jmim.core import init_from
from jmim.core import meter
from jmim.core import sharding
from jmim.core import summary
from jmim.core import units
from jmim.core import writer as writers
from jmim.data import feed
from jmim.evals import context as contexts
from jmim.evals import runner

AHEAD = 2  # steps the host may be ahead of the devices


def train(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
  """Trains, evaluates, draws, checkpoints; continues what is in workdir.

  Raises:
    UserError: a mistake in the config, data or workdir.
    Diverged: the loss stayed non-finite.
  """
  run = Run(config, workdir)
  try:
    run.prepare()
    run.loop()
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


class Run:
  """One process's part of a run."""

  def __init__(
    self,
    config: ml_collections.ConfigDict,
    workdir: pathlib.Path,
    write: bool = True,
  ):
    """Checks the config and opens the workdir; see `train` for errors."""
    self.workdir = pathlib.Path(workdir)
    first = jax.process_index() == 0  # the host that writes and prints
    self.console = consoles.Console(quiet=not first)
    self.parts = assemble.make(config)
    self.batches = self._stream(0)
    self.checkpoints = checkpoint.Checkpoints(
      self.workdir, config.train.keep, write
    )
    self.start = self.checkpoints.latest() or 0
    self.writes, self.writer = first and write, None
    self.clock = clocks.Clock()

  def _stream(self, start: int) -> Iterator[dict[str, jax.Array]]:
    parts = self.parts
    return feed.batches(
      parts.sources["train"], parts.spec,
      ("image", "label", *parts.method.inputs()),
      sharding.batch_sharding(parts.mesh), start,
      parts.config.hardware.prefetch,
    )  # fmt: skip

  # --- phase 1: the state

  def prepare(self) -> None:
    """Fresh or restored state, compiled step, start-up tables."""
    parts = self.parts
    self.checkpoints.check(training=True)
    batch = self._build()
    if self.start:
      self.state = self.checkpoints.restore(self.start, self._like())
      self.console.print(f"resumed from step {self.start}")
    given = {} if self.start else parts.config.init_from.to_dict()
    loaded = init_from.load(given, self.abstract.params)
    if self.writes:  # nothing that is there changes before all has passed
      self._note_config()
      self.writer = writers.Writer(self.workdir, self.start)
    self._tables(batch)
    if not self.start:
      init = jax.jit(self.step.init, out_shardings=self.shardings)
      self.state = init_from.apply(init(batch, parts.consts), loaded)
    everywhere = sharding.replicated(parts.mesh)
    compiling = clocks.Clock()
    where = (self.shardings, everywhere)
    step = jax.jit(self.step, donate_argnums=0, out_shardings=where)
    self.compiled = step.lower(self.state, parts.consts, batch).compile()
    seconds = compiling.lap()["total"]
    self.console.print(f"train step compiled in {seconds:.1f} s")
    window = (self.abstract.window, self.abstract.counted)
    self.zeros = jax.jit(
      lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), window),
      out_shardings=everywhere,
    )

  def restore_only(self) -> None:
    """The newest checkpoint, for evaluation."""
    self.checkpoints.check(training=False)
    self._build()
    self.state = self.checkpoints.restore_weights(self.start, self._like())

  def _build(self) -> dict[str, jax.Array]:
    """Step function, shapes and shardings; returns the first batch."""
    parts = self.parts
    if self.start:
      self.batches.close()
      self.batches = self._stream(self.start)
    batch = next(self.batches)
    self.batches = feed.push_back(batch, self.batches)
    self.step = assemble.make_step(parts)
    self.abstract = jax.eval_shape(self.step.init, batch, parts.consts)
    self.shardings = parts.layout.tree(self.abstract)
    self.context = contexts.Context(
      parts.method, parts.mesh, parts.spec, parts.augment, parts.sources,
      parts.consts, self._fresh, parts.config.seed,
    )  # fmt: skip
    return batch

  def _fresh(self) -> tuple[Any, Any]:
    """(params, extra) as they were before the first step."""

    def init(batch, consts):
      state = self.step.init(batch, consts)
      return state.params, state.extra

    where = (self.shardings.params, self.shardings.extra)
    stream = self._stream(0)
    fresh = jax.jit(init, out_shardings=where)(next(stream), self.parts.consts)
    stream.close()
    return fresh

  def _like(self) -> Any:
    """Shapes with shardings, for restoring."""
    return jax.tree.map(
      lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
      self.abstract,
      self.shardings,
    )

  def _tables(self, batch: Any) -> None:
    """The first lines of a run, and what the log lines are measured by."""
    parts, config = self.parts, self.parts.config
    self.console.print(
      f"jmim: {config.method.type} on {config.data.name}, "
      f"{units.describe(parts.total, parts.batch, parts.examples)}",
      style="bold",
    )
    forward = self.step.forward_flops(self.abstract, parts.consts, batch)
    forward //= parts.batch
    summary.show(
      self.console, self.abstract, self.shardings, parts.mesh, forward,
      parts.layout.missed,
    )  # fmt: skip
    peak, known = summary.peak(parts.mesh)
    self.console.print(f"peak {consoles.size(peak, 'FLOP/s')} ({known})")
    self.meter = meter.Meter(
      self.clock, parts.batch, parts.total, flops.TRAIN * forward, peak,
      self._lr, self.start,
    )  # fmt: skip

  def _lr(self, step: int) -> float:
    """Learning rate of the first player at a (0-based) step."""
    first = self.step.optimizers[self.parts.method.players[0]]
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
      return float(first.schedule(np.int32(step)))

  def _note_config(self) -> None:
    """Writes config.json; says what changed since the run began."""
    path = self.workdir / "config.json"
    now = json.loads(self.parts.config.to_json())
    if path.exists() and self.start:
      before = checkpoint.read_config(self.workdir)
      for line in configs.changes(before, now):
        self.console.print(f"changed: {line}", style="yellow")
    path.write_text(json.dumps(now, indent=2) + "\n")

  # --- phase 2: the loop

  def loop(self) -> None:
    """Steps until the end of the run."""
    total, config = self.parts.total, self.parts.config
    self._catch_up()
    self.console.start(total, self.start)
    running = collections.deque()
    self.clock.lap()
    for step in range(self.start + 1, total + 1):
      with self.clock.measure("input"):
        batch = next(self.batches)
      self.state, metrics = self.compiled(self.state, self.parts.consts, batch)
      running.append(metrics)
      if len(running) > AHEAD:
        jax.block_until_ready(running.popleft())
      self.console.advance(step)
      if step % config.train.log_steps == 0 or step == total:
        self._log(step)
      if self._due_at(step, self.parts.checkpoint_every):
        with self.clock.measure("checkpoint"):
          self._save(step)
      if due := self._due(step):
        with self.clock.measure("eval"):
          self.evaluate(due)
    self.console.stop()
    self.console.print(f"done: {total} steps; everything is in {self.workdir}")

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
    window, counted = self.zeros()
    self.state = state.replace(window=window, counted=counted)
    if skipped >= self.parts.config.train.max_skips:
      raise errors.Diverged.at(step, int(skipped))

  # --- phase 3: evaluators and checkpoints

  def _due_at(self, step: int, every: int) -> bool:
    return step == self.parts.total or (every > 0 and step % every == 0)

  def _due(self, step: int) -> list[str]:
    evaluators = self.parts.evaluators.items()
    return [n for n, (_, every) in evaluators if self._due_at(step, every)]

  def _catch_up(self) -> None:
    """Evaluators that were due at the restored step but did not finish."""
    if not self.start or not self._due(self.start):
      return
    lines = writers.read(self.workdir)
    done = {e.get("eval") for e in lines if e["step"] == self.start}
    missing = [name for name in self._due(self.start) if name not in done]
    if missing:
      self.evaluate(missing)

  def evaluate(self, names: list[str]) -> None:
    """Runs evaluators on the current state; writes and prints them."""
    chosen = {name: self.parts.evaluators[name][0] for name in names}
    runner.run(
      chosen, self.context, self.state, self.console, self.writer,
      self.parts.config.data,
    )  # fmt: skip

  def _save(self, step: int) -> None:
    meta = {"config": json.loads(self.parts.config.to_json())}
    if self.writer:
      self.writer.flush()
    self.checkpoints.save(step, self.state, meta)

  def close(self) -> None:
    """Ends threads and files; waits for the last checkpoint."""
    self.console.stop()
    self.batches.close()
    self.checkpoints.close()
    if self.writer:
      self.writer.close()
