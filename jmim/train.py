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
from jmim.core import sharding
from jmim.core import summary
from jmim.core import units
from jmim.core import writer as writers
from jmim.data import pipeline
from jmim.evals import context as contexts

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
  """Runs all evaluators on the newest checkpoint of workdir and prints them.

  Raises:
    UserError: also if there is no checkpoint.
  """
  run = Run(config, workdir, write=False)
  try:
    run.restore_only()
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
    first = jax.process_index() == 0
    self.console = consoles.Console(quiet=not first)
    self.parts = assemble.make(config)
    self.checkpoints = checkpoint.Checkpoints(
      self.workdir, config.train.keep, write
    )
    self.start = self.checkpoints.latest() or 0
    self.writer = None
    if first and write:
      self._note_config()
      self.writer = writers.Writer(self.workdir, self.start)
    self.clock = clocks.Clock()
    self.batches = device_batches(self.parts, self.start)
    self.state = None

  # --- phase 1: the state

  def prepare(self) -> None:
    """Fresh or restored state, compiled step, start-up tables."""
    batch = next(self.batches)
    self.batches = _put_back(batch, self.batches)
    self._build(batch)
    self._tables(batch)
    if self.start:
      self.state = self.checkpoints.restore(self.start, self._like())
      self.console.print(f"resumed from step {self.start}")
    else:
      init = jax.jit(self.step.init, out_shardings=self.shardings)
      self.state = init(batch, self.parts.consts)
    everywhere = sharding.replicated(self.parts.mesh)
    compiling = clocks.Clock()
    self.compiled = (
      jax.jit(
        self.step, donate_argnums=0, out_shardings=(self.shardings, everywhere)
      )
      .lower(self.state, self.parts.consts, batch)
      .compile()
    )
    self.zeros = jax.jit(
      lambda: jax.tree.map(jnp.zeros_like, self._logged(self.abstract)),
      out_shardings=everywhere,
    )
    took = compiling.lap()["total"]
    self.console.print(f"train step compiled in {took:.1f} s")

  def restore_only(self) -> None:
    """The newest checkpoint, for evaluation."""
    if not self.start:
      raise errors.UserError(
        f"no checkpoint in {self.checkpoints.path}", "a trained run",
        "run --mode=train first, or name its --workdir", "--workdir",
      )  # fmt: skip
    self._build(next(self.batches))
    self.state = self.checkpoints.restore(self.start, self._like())

  def _build(self, batch) -> None:
    """Step function, shapes and shardings of the state, context."""
    parts = self.parts
    self.step = assemble.make_step(parts, batch)
    self.abstract = jax.eval_shape(self.step.init, batch, parts.consts)
    self.shardings = parts.layout.tree(self.abstract)
    self.context = contexts.Context(
      parts.method, parts.mesh, parts.spec, parts.augment, parts.sources,
      parts.consts, self._fresh, parts.config.seed,
    )  # fmt: skip

  def _fresh(self) -> tuple[Any, Any]:
    """(params, extra) as they were before the first step."""
    stream = device_batches(self.parts, 0)
    part = lambda b, c: (  # noqa: E731
      lambda s: (s.params, s.extra)
    )(self.step.init(b, c))
    where = (self.shardings.params, self.shardings.extra)
    fresh = jax.jit(part, out_shardings=where)(next(stream), self.parts.consts)
    stream.close()
    return fresh

  def _like(self) -> Any:
    """Shapes with shardings, for restoring."""
    return jax.tree.map(
      lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
      self.abstract,
      self.shardings,
    )

  def _tables(self, batch) -> None:
    """The first lines of a run."""
    parts, config = self.parts, self.parts.config
    self.console.print(
      f"jmim: {config.method.type} on {config.data.name}, "
      f"{units.describe(parts.total, parts.batch, parts.examples)}",
      style="bold",
    )
    self.forward = _forward_flops(self.step, self.abstract, parts, batch)
    summary.show(
      self.console, self.abstract, self.shardings, parts.mesh, self.forward,
      parts.layout.missed,
    )  # fmt: skip
    self.peak, known = summary.peak(parts.mesh)
    self.console.print(f"peak {consoles.size(self.peak, 'FLOP/s')} ({known})")

  def _note_config(self) -> None:
    """Writes config.json; says what changed since the run began."""
    path = self.workdir / "config.json"
    now = json.loads(self.parts.config.to_json())
    if path.exists() and self.start:
      before = configs.flat(
        ml_collections.ConfigDict(json.loads(path.read_text()))
      )
      after = configs.flat(ml_collections.ConfigDict(now))
      for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
          self.console.print(
            f"changed: {key}: {before.get(key)} -> {after.get(key)}",
            style="yellow",
          )
    self.workdir.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(now, indent=2) + "\n")

  # --- phase 2: the loop

  def loop(self) -> None:
    """Steps until the end of the run."""
    total = self.parts.total
    self._catch_up()
    self.console.start(total, self.start)
    running = collections.deque()
    self.clock.lap()
    self.logged = self.start
    for step in range(self.start + 1, total + 1):
      with self.clock.measure("input"):
        batch = next(self.batches)
      self.state, metrics = self.compiled(self.state, self.parts.consts, batch)
      running.append(metrics)
      if len(running) > AHEAD:
        jax.block_until_ready(running.popleft())
      self.console.advance(step)
      if step % self.parts.config.train.log_steps == 0 or step == total:
        self._log(step)
      if self._checkpoint_due(step):
        with self.clock.measure("checkpoint"):
          self._save(step)
      due = self._due(step)
      if due:
        with self.clock.measure("eval"):
          self.evaluate(due)
    self.console.stop()
    self.console.print(f"done: {total} steps; everything is in {self.workdir}")

  def _logged(self, state) -> tuple:
    return state.window, state.counted

  def _log(self, step: int) -> None:
    """Fetches the means since the last log line and writes them."""
    window, counted, skipped, all_skipped = jax.device_get(
      (*self._logged(self.state), self.state.skipped, self.state.skipped_total)
    )
    spent = self.clock.lap()
    busy = spent["total"] - spent.get("eval", 0) - spent.get("checkpoint", 0)
    rate = (step - self.logged) * self.parts.batch / max(busy, 1e-9)
    mean = {k: float(v) / max(counted, 1) for k, v in window.items()}
    if not counted:
      mean = dict.fromkeys(mean, float("nan"))
    values = {
      **mean,
      "lr": self._lr(step - 1),
      "images_per_second": rate,
      "mfu": rate * 3 * self.forward / self.peak,
      "input_wait": spent.get("input", 0) / max(busy, 1e-9),
      "skipped_steps": int(all_skipped),
    }
    left = (self.parts.total - step) * self.parts.batch / rate
    shown = consoles.log_values(
      mean, values["lr"], rate, values["mfu"], values["input_wait"], left
    )
    if all_skipped:
      shown["skipped"] = str(all_skipped)
    self.console.log(step, self.parts.total, shown)
    if self.writer:
      self.writer.scalars(step, values)
    zeros = self.zeros()
    self.state = self.state.replace(window=zeros[0], counted=zeros[1])
    self.logged = step
    if skipped >= self.parts.config.train.max_skips:
      raise errors.Diverged(
        f"loss or gradient not finite in {skipped} steps in a row "
        f"(steps {step - skipped + 1} to {step}); stopped. Try a lower "
        "optim.lr, optim.clip_norm=1, or hardware.dtype=f32; the limit is "
        "train.max_skips."
      )

  def _lr(self, step: int) -> float:
    """Learning rate of the first player at a (0-based) step."""
    first = self.step.optimizers[self.parts.method.players[0]]
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
      return float(first.schedule(np.int32(step)))

  # --- phase 3: evaluators and checkpoints

  def _due(self, step: int) -> list[str]:
    return [
      name
      for name, (_, every) in self.parts.evaluators.items()
      if step == self.parts.total or (every and step % every == 0)
    ]

  def _catch_up(self) -> None:
    """Evaluators that were due at the restored step but did not finish."""
    if not self.start:
      return
    done = {
      line["eval"]
      for line in writers.read(self.workdir)
      if line["step"] == self.start and "eval" in line
    }
    missing = [name for name in self._due(self.start) if name not in done]
    if missing:
      self.evaluate(missing)

  def evaluate(self, names: list[str]) -> None:
    """Runs evaluators on the current state; writes and prints them."""
    self.context.start(self.state)
    step, rows = self.context.step, []
    for name in names:
      evaluator, _ = self.parts.evaluators[name]
      values = {}
      for key, value in evaluator.run(self.context):
        if np.ndim(value):
          path = self.writer and self.writer.image(step, f"{name}/{key}", value)
          rows.append((f"{name}/{key}", str(path or "(not written)")))
        else:
          values[f"{name}/{key}"] = value
          rows.append((f"{name}/{key}", consoles.number(value)))
      if self.writer:
        protocol = contexts.protocol(self.parts, evaluator)
        self.writer.scalars(step, values, eval=name, protocol=protocol)
    self.context.stop()
    self.console.table(f"Evaluation at step {step}", ("", "value"), rows)

  def _checkpoint_due(self, step: int) -> bool:
    every = self.parts.checkpoint_every
    return step == self.parts.total or bool(every and step % every == 0)

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


def device_batches(
  parts: assemble.Parts, start: int
) -> Iterator[dict[str, jax.Array]]:
  """Global batches on the devices from step `start`, some ahead of need."""
  stream = pipeline.train(
    parts.sources["train"], parts.spec, start,
    jax.process_index(), jax.process_count(),
  )  # fmt: skip
  where = sharding.batch_sharding(parts.mesh)
  wanted = ("image", "label", *parts.method.inputs())

  def put(batch):
    return {
      k: jax.make_array_from_process_local_data(where, v)
      for k, v in batch.items()
      if k in wanted
    }

  ahead = collections.deque()
  try:
    for batch in stream:
      ahead.append(put(batch))
      if len(ahead) > parts.config.hardware.prefetch:
        yield ahead.popleft()
  finally:
    stream.close()


def _put_back(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
  """`first`, then the rest; closing it closes the rest."""
  try:
    yield first
    yield from rest
  finally:
    rest.close()


def _forward_flops(step, abstract, parts, batch) -> int:
  """Forward FLOPs per image of all players' losses (`core.flops`)."""

  def losses(params, extra, batch, key):
    batch = step.prepare(key, batch)
    draws = parts.method.draw(key, batch, 0)
    return [
      parts.method.loss(p, params, extra, parts.consts, batch, draws, 0)[0]
      for p in parts.method.players
    ]

  key = jax.random.key(0)
  args = (abstract.params, abstract.extra, batch, key)
  return flops.count(losses, *args) // parts.batch
