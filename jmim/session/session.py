"""A run that is open in this process: its folder, hosts and checkpoints.

Every mode that reads or writes a workdir begins here. Nothing is in memory of
the devices yet: see `restore` (to look at a run) and `ready` (to train it).
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator

import jax
import ml_collections

from jmim.checkpoints import keeper as keepers
from jmim.core import errors
from jmim.parallel import hosts
from jmim.runlog import boards
from jmim.runlog import clock as clocks
from jmim.runlog import console as consoles
from jmim.runlog import writer as writers
from jmim.session import assemble
from jmim.session import data_facts
from jmim.session import lock as locks


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
    writes: whether this process writes the files of the run: the first host
      does, of a run that is trained.
    closing: callbacks for the end of the session, the last one first.
    facts: of its data, see `data_facts`.
    lock: on the workdir, where this process writes.
  """

  workdir: pathlib.Path
  parts: assemble.Parts
  console: consoles.Console
  group: hosts.Group
  keeper: keepers.Keeper
  clock: clocks.Clock
  writes: bool
  closing: contextlib.ExitStack
  facts: data_facts.Facts
  lock: locks.Lock | None = None

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
      writer = writers.Writer(self.workdir, step, self.keeper.failed, board)
    self.closing.callback(self._close_writer, writer)
    return writer

  def open_eval_writer(self, step: int) -> writers.Writer | None:
    """The same in workdir/eval, which leaves those of the run alone."""
    if jax.process_index():
      return None
    writer = writers.Writer(self.workdir / "eval", step)
    self.closing.callback(self._close_writer, writer)
    return writer

  def _close_writer(self, writer: writers.Writer) -> None:
    with self.saving():
      writer.close()


@contextlib.contextmanager
def open(
  config: ml_collections.ConfigDict, workdir: pathlib.Path, write: bool = True
) -> Iterator[Session]:
  """Opens a run; its end waits for the last checkpoint and closes the files.

  Args:
    config: of the run; it is checked, and all its parts are built.
    workdir: folder of the run.
    write: False: only to look at it; nothing is created or changed.

  Raises:
    UserError: a mistake in the config, data or workdir, or another process
      that trains it.
    NotSaved: at the end: something could not be written.
  """
  first = jax.process_index() == 0  # the host that writes and prints
  console = consoles.Console(quiet=not first)
  parts = assemble.make(config)
  for line in parts.renamed:
    console.print(line, style="yellow")
  facts = data_facts.of(parts.sources)
  data_facts.show(console, parts.sources, facts)
  boards.check(parts.config)
  _check_best(parts)
  group = hosts.group(parts.config.hardware.host_timeout)
  workdir = pathlib.Path(workdir)
  with contextlib.ExitStack() as closing:
    lock = locks.hold(workdir, group, console.print) if write else None
    if lock:
      closing.callback(lock.release)
    keeper = keepers.Keeper(
      workdir,
      parts.config.train,
      every=parts.keep_every,
      warn=lambda text: console.print(text, style="bold red"),
      write=write,
      group=group,
    )
    closing.callback(keeper.store.close)
    session = Session(
      workdir=workdir,
      parts=parts,
      console=console,
      group=group,
      keeper=keeper,
      clock=clocks.Clock(),
      writes=first and write,
      closing=closing,
      facts=facts,
      lock=lock,
    )
    _compare_data(session, write)
    yield session


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
