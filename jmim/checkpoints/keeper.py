"""Saves and restores a run, and is patient with a disk that fails.

What cannot be written is reported loudly and tried again; after so many
failures in a row the run stops, with everything up to the last good checkpoint
on disk.
"""

import pathlib
import time
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from jmim.checkpoints import checksum
from jmim.checkpoints import retention
from jmim.checkpoints import store as checkpoint
from jmim.core import errors
from jmim.core import tree as trees
from jmim.parallel import hosts
from jmim.runlog import writer as writers


class Keeper:
  """The checkpoints of a run.

  Attributes:
    store: the checkpoints themselves.
    retry_due: whether one could not be written, so that another is due soon.
  """

  def __init__(
    self,
    workdir: pathlib.Path,
    train: Mapping[str, Any],
    every: int,
    warn: Callable[[str], None],
    write: bool = True,
    group: hosts.Group | None = None,
  ):
    """Opens the checkpoints of a workdir.

    Args:
      workdir: of the run.
      train: the section `config.train`.
      every: steps of which multiples are kept for ever; 0: none.
      warn: prints a warning.
      write: False: nothing is created or cleaned.
      group: processes of the run; None: this one.
    """
    self.workdir, self._warn, self._limit = workdir, warn, train["max_failures"]
    self._newest, self._every = train["keep"], every
    name = train["keep_best"]
    self._best, self._highest = name.removeprefix("-"), name[:1] != "-"
    self._values: dict[int, float] = {}
    self._failures = {"metrics": 0, "checkpoint": 0}
    self._pending = self.retry_due = False
    self.store = checkpoint.Checkpoints(workdir, self._kept, write, group)
    if write and self._best and (workdir / "metrics.jsonl").exists():
      for line in writers.read(workdir):
        self.record_metric(line["step"], line)

  def _kept(self, steps: Any) -> set[int]:
    return retention.keep(
      steps,
      self._newest,
      every=self._every,
      values=self._values,
      highest=self._highest,
    )

  def record_metric(self, step: int, numbers: Mapping[str, Any]) -> None:
    """Remembers `train.keep_best` of an evaluation, if it is among them."""
    if self._best in numbers:
      self._values[step] = float(numbers[self._best])

  def failed(self, error: Exception, what: str = "metrics") -> None:
    """Reports that something could not be written.

    Raises:
      NotSaved: it is one time too many in a row.
    """
    self._failures[what] += 1
    count, text = self._failures[what], errors.first_line(error)
    self._warn(f"CANNOT WRITE {what} ({count} of {self._limit} times): {text}")
    if count >= self._limit:
      newest = self.store.latest()
      newest = f"that of step {newest}" if newest else "not there yet"
      raise errors.NotSaved(
        f"{count} writes of {what} in a row failed; the last: {text}. The "
        f"newest checkpoint is {newest}. Mend {self.workdir} (or make room) "
        "and start the same command again; the limit is train.max_failures."
      ) from error

  def _not_saved(self, error: Exception) -> None:
    self._pending, self.retry_due = False, True
    self.failed(error, "checkpoint")

  def compile_checksums(self, state: Any) -> None:
    """Compiles them before training, so that no step waits for that later."""
    checksum.of(trees.named(state))

  def save(
    self,
    step: int,
    state: Any,
    meta: Mapping[str, Any],
    writer: writers.Writer | None,
  ) -> None:
    """Begins a checkpoint, once everything before it is on the disk.

    Raises:
      NotSaved: as `failed`.
    """
    self.wait()
    flush = writer.flush if writer else lambda: None
    _, error = self.store.group.attempt("metrics flushed", flush, OSError)
    try:
      if error:  # on whichever host
        raise error
      self._failures["metrics"] = 0
      self.store.save(step, state, meta)
      self._pending, self.retry_due = True, False
    except (OSError, errors.NotSaved) as e:
      self._not_saved(e)

  def check(self, writer: writers.Writer | None) -> None:
    """Notices early that something fails, or no longer does.

    Raises:
      NotSaved: as `failed`.
    """
    if writer and not writer.waiting:
      self._failures["metrics"] = 0
    try:
      self.store.check()
    except errors.NotSaved as e:
      self._not_saved(e)

  def wait(self) -> None:
    """Waits for what is being written; raises NotSaved as `failed`."""
    try:
      self.store.wait()
      if self._pending:
        self._pending, self._failures["checkpoint"] = False, 0
    except errors.NotSaved as e:
      self._not_saved(e)

  def save_and_wait(
    self,
    step: int,
    state: Any,
    meta: Mapping[str, Any],
    writer: writers.Writer | None,
    pause: Callable[[float], None] = time.sleep,
  ) -> None:
    """Saves and waits; tries again, ever more slowly, until it succeeds.

    Raises:
      NotSaved: as `failed`.
    """
    for attempt in range(self._limit + 1):
      self.save(step, state, meta, writer)
      if not self.retry_due:
        self.wait()
      if not self.retry_due:
        return
      pause(min(2.0**attempt, 30.0))

  def roll_back(self, step: int) -> None:
    """Forgets checkpoints and numbers of later steps."""
    self.store.delete_after(step)
    self._values = {s: v for s, v in self._values.items() if s <= step}
