"""What a run is made of and what it leaves: state, tables, files.

assemble -> state (fresh or restored) -> compile
"""

import functools
import pathlib
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from jmim.checkpoints import init_from
from jmim.checkpoints import intact as fallback
from jmim.checkpoints import keeper as keepers
from jmim.checkpoints import weights
from jmim.core import errors
from jmim.core import units
from jmim.cost import summary
from jmim.data import entries
from jmim.data import feed
from jmim.data import pipeline
from jmim.evals.lib import context as contexts
from jmim.evals.lib import runner
from jmim.parallel import hosts
from jmim.parallel import sharding
from jmim.runlog import boards
from jmim.runlog import clock as clocks
from jmim.runlog import console as consoles
from jmim.runlog import meter
from jmim.runlog import writer as writers
from jmim.session import assemble
from jmim.session import manifest as notes
from jmim.session import skips


class Run:
  """One process's part of a run: its parts, its state, its files."""

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
    boards.check(self.parts.config)
    self._check_best()
    self.skips = skips.read(self.workdir)
    self.batches = self._stream(0)
    self.group = hosts.group(self.parts.config.hardware.host_timeout)
    self.keeper = keepers.Keeper(
      self.workdir,
      self.parts.config.train,
      every=self._length("keep_every"),
      say=self._say,
      write=write,
      group=self.group,
    )
    self.start = self.keeper.store.latest() or 0
    self.writes, self.writer, self.board = first and write, None, None
    self.clock = clocks.Clock()

  def _say(self, text: str) -> None:
    self.console.print(text, style="bold red")

  def _check_best(self) -> None:
    """Raises UserError if train.keep_best is no number of an evaluator."""
    best, known = self.parts.config.train.keep_best, self.parts.evaluators
    if best and best.removeprefix("-").split("/")[0] not in known:
      raise errors.UserError(
        f"train.keep_best={best!r}",
        f"'<evaluator>/<number>', evaluators: {', '.join(known) or 'none'}",
        "name a number as it is in metrics.jsonl",
        "train.keep_best",
      )

  def _length(self, stem: str) -> int:
    """A duration of the section `train` in steps."""
    parts = self.parts
    train = parts.config.train
    return round(
      units.steps(
        train, stem, batch=parts.batch, examples=parts.examples, where="train"
      )
    )

  def _stream(self, start: int) -> Iterator[dict[str, jax.Array]]:
    """The batches that follow after `start` steps."""
    parts = self.parts
    names = entries.sent(parts.method.inputs())
    where = sharding.batch_sharding(parts.mesh)
    return skips.stream(
      start,
      self.skips,
      lambda position: feed.batches(
        parts.sources["train"],
        parts.spec,
        names=names,
        where=where,
        start=position,
        ahead=parts.config.hardware.prefetch,
      ),
    )

  # --- phase 1: the state

  def prepare(self) -> None:
    """Fresh or restored state, compiled step, start-up tables."""
    parts = self.parts
    weights.check_trainable(self.keeper.store)
    pipeline.check_example(
      parts.sources["train"],
      parts.spec,
      training=True,
      inputs=parts.method.inputs(),
    )
    batch = self._build()
    if parts.evaluators:  # or their first error would come after hours
      pipeline.check_example(parts.sources["eval"], parts.spec, training=False)
    self.losses: list[float] = []
    self.group.agree(
      "resume",
      {"newest checkpoint": str(self.start)},
      "give all the same --workdir, on a disk they share",
      {"newest checkpoint": "--workdir"},
    )
    if self.start:
      self._restore()
      self.console.print(f"resumed from step {self.start}")
    given = {} if self.start else parts.config.init_from.to_dict()
    loaded = init_from.load(given, self.abstract.params)
    if self.writes:  # nothing that is there changes before all has passed
      try:
        for line in notes.config(self.workdir, self.start, parts.config):
          self.console.print(f"changed: {line}", style="yellow")
        self.open_writer()
      except OSError as e:
        raise self._not_written(e) from e
    self._tables(batch)
    if not self.start:
      init = jax.jit(self.step.init, out_shardings=self.shardings)
      self.state = init_from.apply(init(batch, parts.consts), loaded)
    everywhere = sharding.replicated(parts.mesh)
    where = (self.shardings, everywhere)
    step = jax.jit(self.step, donate_argnums=0, out_shardings=where)
    with self.clock.measure("compile"), futures.ThreadPoolExecutor(1) as beside:
      ready = beside.submit(self.keeper.get_ready, self.state)
      self.compiled = step.lower(self.state, parts.consts, batch).compile()
      ready.result()
    seconds = self.clock.lap()["compile"]
    self.console.print(f"train step compiled in {seconds:.1f} s")
    self._note_start()
    window = (self.abstract.window, self.abstract.counted)
    self.zeros = jax.jit(
      lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), window),
      out_shardings=everywhere,
    )

  def restore_only(self, before: int | None = None) -> None:
    """The weights of the newest checkpoint, for looking at them.

    Args:
      before: all of the newest checkpoint below that step instead, to go on.
    """
    store = self.keeper.store
    known = [s for s in store.steps() if before is None or s < before]
    if not known:
      limit = f" before step {before}" * (before is not None)
      raise errors.UserError(
        f"no checkpoint{limit} in {store.path}",
        "a trained run",
        "run --mode=train first, or name its --workdir",
        "--workdir",
      )
    self._build()
    look = functools.partial(weights.restore, store)
    self._restore(before, look if before is None else None)

  def _restore(self, before: int | None = None, restore: Any = None) -> None:
    """The state of the newest checkpoint that is intact, and its batches."""
    found = fallback.restore(
      self.keeper.store, self._like(), say=self._say, before=before, how=restore
    )
    self.start, self.state, meta = found
    self.losses = list(meta.get("losses", ()))
    self.clock.resume(meta.get("clock", {}))
    self.reopen(self.start)

  def reopen(self, step: int) -> None:
    """Has the batches go on after `step`."""
    self.batches.close()
    self.batches = self._stream(step)

  def open_writer(self) -> None:
    """Opens metrics.jsonl and its like after the step that was restored."""
    if self.board is None:
      self.board = boards.opened(self.parts.config, self.workdir, self._say)
    self.writer = writers.Writer(
      self.workdir, self.start, self.keeper.failed, self.board
    )

  def _build(self) -> dict[str, jax.Array]:
    """Step function, shapes and shardings; returns the first batch."""
    parts = self.parts
    batch = next(self.batches)
    self.batches = feed.push_back(batch, self.batches)
    self.step = assemble.make_step(parts)
    self.abstract = jax.eval_shape(self.step.init, batch, parts.consts)
    self.shardings = parts.layout.tree(self.abstract)
    self.context = contexts.Context(
      parts.method,
      parts.mesh,
      spec=parts.spec,
      sources=parts.sources,
      consts=parts.consts,
      fresh=self._fresh,
      seed=parts.config.seed,
    )
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
    work = self.step.work(self.abstract, parts.consts, batch) // parts.batch
    self.tables = summary.tables(self.abstract, self.shardings, work)
    summary.show(self.console, self.tables, parts.mesh, parts.layout.missed)
    peak, known = summary.peak(parts.mesh)
    self.peak = f"{consoles.size(peak, 'FLOP/s')} ({known})"
    self.console.print(f"peak {self.peak}")
    self.meter = meter.Meter(
      clock=self.clock,
      batch=parts.batch,
      total=parts.total,
      flops=work.step,
      peak=peak,
      lr=self._lr,
      logged=self.start,
    )

  def _lr(self, step: int) -> float:
    """Learning rate of the first player at a (0-based) step."""
    first = self.step.optimizers[self.parts.method.players[0]]
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
      return float(first.schedule(np.int32(step)))

  def _note_start(self) -> None:
    """Writes run.json."""
    if self.writes:
      try:
        notes.write(
          self.workdir,
          self.start,
          parts=self.parts,
          tables=self.tables,
          peak=self.peak,
          compiled=self.compiled,
        )
      except OSError as e:
        raise self._not_written(e) from e

  def evaluate(self, names: list[str]) -> None:
    """Runs evaluators on the current state; writes and prints them."""
    chosen = {name: self.parts.evaluators[name][0] for name in names}
    found = runner.run(
      chosen,
      self.context,
      state=self.state,
      console=self.console,
      writer=self.writer,
      data=self.parts.config.data,
    )
    self.keeper.note(self.context.step, found)

  def meta(self, step: int) -> dict[str, Any]:
    """What the checkpoint of a step holds beside the state."""
    position = skips.position(step, self.skips)
    return keepers.meta_of(
      self.parts.config, position, self.losses, self.clock.saved()
    )

  def close(self) -> None:
    """Ends threads and files; waits for the last checkpoint."""
    self.console.stop()
    self.batches.close()
    try:
      self.keeper.store.close()
    finally:
      if self.writer:
        try:
          self.writer.close()
        except OSError as e:
          raise self._not_written(e) from e
      if self.board:
        self.board.close()

  def _not_written(self, error: OSError) -> errors.NotSaved:
    return errors.NotSaved(f"{self.workdir}: {errors.first_line(error)}")
