"""Checkpoints: Orbax, asynchronous, verified, restored by name onto any mesh.

A step directory becomes visible only when complete, by a rename. What is in it
is checked when it is read: a checksum of every array (`checksum`), a digest of
the meta data, the sizes of files. What fails is set aside, for the one before.
"""

import contextlib
import errno
import pathlib
import shutil
import threading
import time
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

import jax
import orbax.checkpoint as ocp

from jmim.checkpoints import checksum
from jmim.checkpoints import compare
from jmim.checkpoints import folder as saved
from jmim.checkpoints import listing
from jmim.checkpoints import manager
from jmim.core import errors
from jmim.core import files
from jmim.core import tree as trees
from jmim.parallel import hosts

_TRASH = "trash"  # checkpoints that are being deleted
# Threads of a save that failed may go on writing what is cleaned away [s].
_PAUSES = (0, 0.2, 1, 2)
# What Orbax raises for files that cannot be written.
_UNWRITTEN = (OSError, ValueError, RuntimeError)
# Times `Group.seconds` that hosts wait for each other's writes.
_PATIENCE = 4


class Checkpoints:
  """Those of one workdir; saving returns as soon as arrays are copied."""

  def __init__(
    self,
    workdir: pathlib.Path,
    keep: Callable[[Collection[int]], Collection[int]] | int = 2,
    write: bool = True,
    group: hosts.Group | None = None,
  ):
    """Opens (and with `write` creates and cleans) workdir/checkpoints.

    Args:
      workdir: of the run.
      keep: the steps there are -> those that stay; or how many of the newest.
      write: False: only reads; nothing is created or cleaned.
      group: processes that all save and restore together; None: this one.
    """
    self.group = group or hosts.Group()
    self.path = pathlib.Path(workdir).resolve() / "checkpoints"
    self._link = manager.Link(self.path)
    self._keep = keep if callable(keep) else lambda s: sorted(s)[-keep:]
    self._write, self._sweeper = write, threading.Thread()
    self._sweeper.start()
    self._manager = self._open()
    self._listed: list[int] = []
    self._there = set(self.steps())  # and those that are being written
    self._ours = {*self._there}  # all that we ever began, too
    self._unsized = {*sorted(self._there)[-1:]}  # it may have been killed then

  def _open(self) -> ocp.CheckpointManager:
    self._sweeper.join()
    if self._write:  # here, since Orbax would do it in the background
      self._clean()
    patience = _PATIENCE * (self.group.seconds or 300)
    return manager.open(self._link, self.path, self._write, patience)

  def latest(self) -> int | None:
    """The newest complete step, or None."""
    return max(self.steps(), default=None)

  def steps(self) -> list[int]:
    """All complete steps, oldest first: of now, if the disk can be read."""
    with contextlib.suppress(OSError):
      self._listed = listing.steps(self.path)
    return [*self._listed]

  def save(self, step: int, state: Any, meta: Mapping[str, Any]) -> None:
    """Starts saving a state; replaces nothing that is already there.

    Raises:
      NotSaved: this one, or the one before it, cannot be written.
      UserError: another process has saved here meanwhile.
    """
    self._check_ours()
    if step in self._there:
      return
    self._ours.add(step)
    self._unsized.add(step)
    described = saved.metadata(trees.named(state), {"step": step, **meta})
    args = ocp.args.Composite(
      state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(described)
    )
    self.wait()  # as `save` would
    for pause in _PAUSES:
      time.sleep(pause)
      error = self._attempt("checkpoints tidied", self._tidy)
      if error is None:
        # No `reload`, for what was deleted: it takes 2 ms for each one kept.
        begin = lambda: self._manager.save(step, args=args)
        error = self._attempt(f"checkpoint {step} begun", begin)
      if error is None:
        self._there.add(step)
        return
      failed = self._failed(error)
      if getattr(error, "errno", None) not in (errno.ENOENT, errno.ENOTEMPTY):
        break
    raise failed from error

  def _check_ours(self) -> None:
    """Raises UserError, on all hosts, if there are checkpoints not of us."""
    # Orbax would leave out what is older than these, without a word.
    look = lambda: jax.process_index() or listing.check(self.path, self._ours)
    self.group.all_or_none("checkpoints looked at", look, errors.UserError)

  def _attempt(self, name: str, act: Callable[[], Any]) -> Exception | None:
    """Writes something; the error, if it cannot be written on all hosts."""
    # Theirs may have waited for ours, and ours then for the answer.
    return self.group.attempt(name, act, _UNWRITTEN, 2 * _PATIENCE)[1]

  def wait(self) -> None:
    """Waits for what is being written; raises NotSaved if it fails."""
    finish = self._manager.wait_until_finished
    if error := self._attempt("checkpoint written", finish):
      raise self._failed(error) from error

  def check(self) -> None:
    """Raises NotSaved if what is being written has failed already.

    Of several hosts none hears of it before `wait`, where all do.
    """
    try:
      if self.group.count > 1:
        return
      self._manager.check_for_errors()
    except _UNWRITTEN as e:
      raise self._failed(e) from e

  def _failed(self, error: Exception) -> errors.NotSaved:
    """Starts afresh: after an error Orbax thinks that the step is there."""
    text = errors.first_line(error)
    for pause in _PAUSES:
      time.sleep(pause)
      try:
        self._manager.close()
        self._manager, self._there = self._open(), set(self.steps())
        break
      except _UNWRITTEN as e:
        text = f"{errors.first_line(error)}; then {errors.first_line(e)}"
    return errors.NotSaved(f"{self.path}: {text}")

  def _tidy(self) -> None:
    """Writes down the sizes of new checkpoints, deletes those not kept."""
    if jax.process_index():
      return
    self._sweeper.join()
    self._clean()
    steps = self.steps()
    stay = set(self._keep(steps))
    self._delete([step for step in steps if step not in stay])
    for step in self._unsized & stay:
      saved.write_sizes(self.path / str(step))
    self._unsized -= set(steps)

  def _delete(self, steps: Collection[int]) -> None:
    """Moves checkpoints to the trash: a kill leaves no half of one.

    It is emptied in the background; what cannot be deleted is seen by the next
    `_clean`.
    """
    trash = self.path / _TRASH
    for step in steps:
      trash.mkdir(exist_ok=True)
      (self.path / str(step)).rename(trash / str(step))
    self._sweeper = threading.Thread(
      target=shutil.rmtree, args=(trash, True), daemon=True
    )
    self._sweeper.start()

  def _clean(self) -> None:
    """Ends what a crash has cut short: deletions, and saves."""
    if not jax.process_index():
      rest = (self.path / _TRASH, *self.path.glob("*.orbax-checkpoint-tmp*"))
      for folder in filter(pathlib.Path.exists, rest):
        shutil.rmtree(folder)

  def delete_after(self, step: int) -> None:
    """Deletes the checkpoints of later steps (a run that is rolled back).

    Raises:
      NotSaved: they cannot be deleted.
    """
    self.wait()
    later = [s for s in self.steps() if s > step]
    self._sweeper.join()
    self._change("checkpoints deleted", lambda: self._delete(later))

  def _change(self, name: str, act: Callable[[], None]) -> None:
    """Has the first host move checkpoints, and all know."""
    first = jax.process_index() == 0
    if error := self._attempt(name, act if first else lambda: None):
      raise self._failed(error) from error
    self._manager.reload()
    self._there = set(self.steps())

  def close(self, ours: bool = True) -> None:
    """Waits for what is being written; raises NotSaved if it fails.

    Not for other hosts: they may be where this one never gets. Nothing is
    deleted unless the folder is `ours` still.
    """
    try:
      if self._write:
        self._manager.wait_until_finished()
        if ours and not listing.others(self.path, self._ours):
          self._tidy()
        self._sweeper.join()
    except _UNWRITTEN as e:
      raise errors.NotSaved(f"{self.path}: {errors.first_line(e)}") from e
    finally:
      self._manager.close()
      self._link.close()

  def set_aside(self, steps: Collection[int]) -> None:
    """Moves damaged checkpoints to workdir/damaged, unless this only reads.

    Raises:
      NotSaved: they cannot be moved.
    """
    if not self._write:
      return
    self._change("damaged set aside", lambda: self._move_aside(steps))

  def _move_aside(self, steps: Collection[int]) -> None:
    for step in steps:
      target = self.path.parent / "damaged" / str(step)
      if target.exists():
        shutil.rmtree(target)
      target.parent.mkdir(exist_ok=True)
      (self.path / str(step)).rename(target)

  def restore(
    self, step: int, like: Any, sections: Collection[str] | None = None
  ) -> Any:
    """The state saved at `step`, in the shapes and shardings of `like`.

    Floats come in the dtype of `like`; of `sections` only, where given.

    Raises:
      UserError: of another schema, or other names, shapes or dtypes, all of
        which are listed.
      Damaged: unreadable, or not what was saved.
    """
    where, meta = self.path / str(step), self.meta(step)
    stored, ours = compare.shapes(meta["arrays"]), trees.named(like)
    if sections is not None:
      stored = {n: x for n, x in stored.items() if n.split("/")[0] in sections}
    if lines := compare.differences(stored, ours):
      raise compare.another_model(where, lines)
    old = meta.get("saved_as", {})  # names it had in an older version
    target = {
      old.get(n, n): jax.ShapeDtypeStruct(
        x.shape, stored[n].dtype, sharding=x.sharding
      )
      for n, x in ours.items()
    }
    read = lambda: saved.arrays(where, target)
    arrays = self.read_intact(step, "arrays", read)
    arrays = {n: arrays[old.get(n, n)] for n in ours}
    saved.check_sums(where, meta["arrays"], checksum.of(arrays))
    kind = jax.dtypes.canonicalize_dtype
    leaves = [arrays[n].astype(kind(x.dtype)) for n, x in ours.items()]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)

  def read_intact(self, step: int, what: str, read: Callable[[], Any]) -> Any:
    """The result of `read`; Damaged on all hosts if it is on one."""
    name = f"{what} of checkpoint {step}"
    return self.group.all_or_none(name, read, errors.Damaged)

  def meta(self, step: int) -> dict[str, Any]:
    """The meta data of a checkpoint; raises as `folder.meta`."""
    return saved.meta(self.path / str(step))


def read_config(workdir: pathlib.Path) -> dict[str, Any]:
  """The resolved config of a run; raises OSError or as `files.read_object`."""
  path = pathlib.Path(workdir) / "config.json"
  path.stat()  # none is no mistake in it
  return files.read_object(path, None)
