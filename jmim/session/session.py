"""A run that is open in this process: its folder, hosts and checkpoints.

Every mode that reads or writes a workdir begins here. Nothing is in memory of
the devices yet: see `restore` (to look at a run) and `ready` (to train it).
"""

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import jax
import ml_collections

from jmim.checkpoints import identity
from jmim.checkpoints import keeper as keepers
from jmim.core import config as configs
from jmim.core import errors
from jmim.data import sources
from jmim.data import texts
from jmim.parallel import hosts
from jmim.runlog import boards
from jmim.runlog import clock as clocks
from jmim.runlog import console as consoles
from jmim.runlog import waits
from jmim.runlog import writer as writers
from jmim.session import agreement
from jmim.session import assemble
from jmim.session import data_facts
from jmim.session import holding
from jmim.session import lock as locks
from jmim.session import small_files
from jmim.session import tuning
from jmim.session import watchdog

Heard = Callable[[Mapping[str, Any]], None]  # gets a line of metrics.jsonl


@dataclasses.dataclass(frozen=True, kw_only=True)
class Session:
  """What one process holds of a run.

  Attributes:
    workdir: folder of the run.
    parts: what the run is made of.
    console: prints, on the first host.
    group: the processes of the run.
    keeper: its checkpoints.
    clock: where its time goes.
    watch: ends it where it stands still.
    writes: whether this process writes the files of the run: the first host
      does, of a run that is trained.
    closing: callbacks for the end of the session, the last one first.
    facts: of its data, see `data_facts`.
    lock: on the workdir, where this process writes.
    heard: called with each line of metrics.jsonl; None: nobody listens.
  """

  workdir: pathlib.Path
  parts: assemble.Parts
  console: consoles.Console
  group: hosts.Group
  keeper: keepers.Keeper
  clock: clocks.Clock
  watch: watchdog.Watchdog
  writes: bool
  closing: contextlib.ExitStack
  facts: data_facts.Facts
  lock: locks.Lock | None = None
  heard: Heard | None = None

  def warn(self, text: str) -> None:
    """Prints a line that nobody should miss."""
    self.console.print(text, style="bold red")

  @contextlib.contextmanager
  def saving(self) -> Iterator[None]:
    """Raises NotSaved for what cannot be written in the body."""
    try:
      yield
    except OSError as e:
      text = f"{self.workdir}: {errors.first_line(e)}"
      raise errors.NotSaved(text) from e

  def open_writer(self, step: int) -> writers.Writer | None:
    """metrics.jsonl and its like, after `step`; None where nothing is written.

    Raises:
      NotSaved: they cannot be opened.
    """
    if not self.writes:
      return None
    with self.saving():
      board = boards.open(self.parts.config, self.workdir, self.warn)
      if board:
        self.closing.callback(board.close)
      writer = writers.Writer(
        self.workdir,
        step,
        self.keeper.failed,
        board,
        place=self._place,
        heard=self.heard,
        ours=self._holds,
      )
      writer.describe(configs.flat(self.parts.config))
    self.closing.callback(self._close_writer, writer)
    return writer

  def open_eval_writer(self, step: int) -> writers.Writer | None:
    """The same in workdir/eval, which leaves those of the run alone.

    What cannot be written there is a NotSaved at once.
    """
    if jax.process_index():
      return None
    where = self.workdir / "eval"
    with self.saving():
      writer = writers.Writer(where, step, self._not_saved, place=self._place)
    self.closing.callback(self._close_writer, writer)
    return writer

  def _holds(self) -> bool:
    """Whether no other process has taken the workdir.

    It has where this one was suspended; the next checkpoint says so.
    """
    return self.lock is None or not self.lock.lost()

  def _not_saved(self, error: Exception) -> None:
    with self.saving():
      raise error

  def _place(self, step: int) -> dict[str, float]:
    """Where in the run a step is, and when that was."""
    images = step * self.parts.batch
    epoch = images / self.parts.examples
    return {"time": round(time.time(), 3), "epoch": epoch, "images": images}

  def _close_writer(self, writer: writers.Writer) -> None:
    with self.saving():
      writer.close()


@contextlib.contextmanager
def open(
  config: ml_collections.ConfigDict,
  workdir: pathlib.Path,
  write: bool = True,
  console: consoles.Console | None = None,
  heard: Heard | None = None,
  watched: bool = False,
) -> Iterator[Session]:
  """Opens a run; its end waits for the last checkpoint and closes the files.

  Args:
    config: of the run; it is checked, and all its parts are built.
    workdir: folder of the run.
    write: False: only to look at it; nothing is created or changed.
    console: prints; None: a plain one of the first host.
    heard: called with each line of metrics.jsonl, once it is written.
    watched: whether the process ends, from now on, where it stands still; what
      takes longer than a day must then be told to `Session.watch`.

  Raises:
    UserError: a mistake in the config, data or workdir, or another process
      that trains it.
    NotSaved: at the end: something could not be written.
  """
  first = jax.process_index() == 0  # the host that writes and prints
  console = console or consoles.Console(quiet=not first)
  group = hosts.group(config.hardware.host_timeout)
  workdir = pathlib.Path(workdir)
  index = workdir / "index" if write else None
  with contextlib.ExitStack() as closing:
    clock, watch = clocks.Clock(), watchdog.nobody()
    if watched:
      watch = closing.enter_context(
        watchdog.watching(config.hardware, group, clock)
      )
    parts = _make(config, group, console, index)
    watch.turn_to(waits.START)  # an index of shards may have taken hours
    facts = data_facts.of(parts.sources, texts.facts(parts.spec))
    data_facts.show(console, parts.sources, facts)
    boards.check(parts.config)
    _check_best(parts)
    lock = holding.hold(workdir, group, console.print) if write else None
    if lock:
      closing.callback(lock.release)
    look = lambda: small_files.check(workdir, write) if first else []
    lines, error = group.attempt("small files looked at", look, OSError)
    if error:
      raise errors.NotSaved(f"{workdir}: {errors.first_line(error)}")
    warn = lambda text: console.print(text, style="bold red")
    for line in lines:
      warn(line)
    keeper = keepers.Keeper(
      workdir,
      parts.config.train,
      every=parts.keep_every,
      warn=warn,
      write=write,
      group=group,
    )
    store = keeper.store
    closing.callback(lambda: store.close(ours=not (lock and lock.lost())))
    session = Session(
      workdir=workdir,
      parts=parts,
      console=console,
      group=group,
      keeper=keeper,
      clock=clock,
      watch=watch,
      writes=first and write,
      closing=closing,
      facts=facts,
      lock=lock,
      heard=heard,
    )
    _compare_data(session, write)
    try:
      yield session
    finally:
      watch.turn_to(waits.END)


def _make(
  config: ml_collections.ConfigDict,
  group: hosts.Group,
  console: consoles.Console,
  index: pathlib.Path | None,
) -> assemble.Parts:
  """The parts of a run, in which all hosts agree; says what it changed.

  Raises:
    UserError: a mistake, on any of them, or they differ.
  """
  config = tuning.tuned(config, group, console)
  make, meet = lambda: assemble.make(config), group.all_or_none
  if index and group.count > 1 and sources.has_index(config.data.name):
    # Made once, by the first host, and mapped by all: they see one workdir.
    make = lambda: assemble.make(config, index=index)
    meet = group.in_turn
  # A file that one host lacks ends all of them; lists of files may take long.
  parts = meet("parts made", make, errors.UserError, patience=8)
  agreement.check_data(
    group,
    {**parts.sources, **parts.splits},
    {
      "length in steps": parts.total,
      "length of an epoch": parts.examples,
      "tokenizer": texts.facts(parts.spec).get("tokenizer", "none"),
    },
    lambda: identity.of(parts.consts),
  )
  for line in parts.renamed:
    console.print(line, style="yellow")
  if left_out := [n for n in config.evals if n not in parts.config.evals]:
    console.print(f"without labels, left out: evals {', '.join(left_out)}")
  return parts


def _compare_data(session: Session, train: bool) -> None:
  """Says how the data differ from those that the run was trained on.

  Raises:
    UserError: training cannot go on, as labels mean something else.
  """
  if not session.keeper.store.latest():
    return
  learnt = session.parts.method.inputs() if train else ()
  for line in data_facts.compare(session.workdir, session.facts, learnt):
    session.console.print(f"changed: {line}", style="yellow")


def _check_best(parts: assemble.Parts) -> None:
  """Raises UserError if train.keep_best is no number of an evaluator."""
  best, known = parts.config.train.keep_best, parts.evaluators
  if best and best.removeprefix("-").split("/")[0] not in known:
    raise errors.UserError(
      f"train.keep_best={best!r}",
      f"'<evaluator>/<number>', evaluators: {', '.join(known) or 'none'}",
      "name a number as it is in metrics.jsonl",
      "train.keep_best",
    )
