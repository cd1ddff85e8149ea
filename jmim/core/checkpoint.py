"""Checkpoints: Orbax, asynchronous, verified, restored by name onto any mesh.

A step directory becomes visible only when complete, by a rename. What is in it
is checked when it is read: a checksum of every array (`checksum`), a digest of
the meta data, the sizes of files. What fails is set aside, for the one before.
"""

import errno
import json
import pathlib
import shutil
import time
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from jmim.core import checksum
from jmim.core import compare
from jmim.core import errors
from jmim.core import saved
from jmim.core import tree as trees

_TRASH = "trash"  # checkpoints that are being deleted
# Threads of a save that failed may go on writing what is cleaned away [s].
_PAUSES = (0, 0.2, 1, 2)
# What Orbax raises for files that cannot be written.
_UNWRITTEN = (OSError, ValueError, RuntimeError)


class Checkpoints:
  """Those of one workdir; saving returns as soon as arrays are copied."""

  def __init__(
    self,
    workdir: pathlib.Path,
    keep: Callable[[Collection[int]], Collection[int]] | int = 2,
    write: bool = True,
  ):
    """Opens (and with `write` creates and cleans) workdir/checkpoints.

    Args:
      workdir: of the run.
      keep: the steps there are -> those that stay; or how many of the newest.
      write: False: only reads; nothing is created or cleaned.
    """
    self.path = pathlib.Path(workdir).resolve() / "checkpoints"
    self._keep = keep if callable(keep) else lambda s: sorted(s)[-keep:]
    self._write = write
    self._manager = self._open()

  def _open(self) -> ocp.CheckpointManager:
    saved.unwarned()
    if self._write:  # here, since Orbax would do it in the background
      self._clean()
    return ocp.CheckpointManager(
      self.path,
      item_names=("state", "meta"),
      options=ocp.CheckpointManagerOptions(
        create=self._write, read_only=not self._write,
        save_interval_steps=int(self._write),
        # A folder that cannot be made is an error here and now; else threads
        # of Orbax wait ten minutes for it, also when the program ends.
        async_options=ocp.AsyncOptions(create_directories_asynchronously=False),
        # A kill in the middle of a deletion leaves no half of a checkpoint.
        todelete_subdir=_TRASH if self._write else None,
      ),
    )  # fmt: skip

  def latest(self) -> int | None:
    """The newest complete step, or None."""
    return self._manager.latest_step()

  def steps(self) -> list[int]:
    """All complete steps, oldest first."""
    return sorted(self._manager.all_steps())

  def save(self, step: int, state: Any, meta: Mapping[str, Any]) -> None:
    """Starts saving a state; replaces nothing that is already there.

    Raises:
      NotSaved: this one, or the one before it, cannot be written. What was
        complete stays; another save may be tried.
    """
    if step in self._manager.all_steps():
      return
    args = ocp.args.Composite(
      state=ocp.args.StandardSave(state),
      meta=ocp.args.JsonSave(saved.note(trees.named(state), meta)),
    )
    self.wait()  # as `save` would
    for pause in _PAUSES:
      time.sleep(pause)
      try:
        self._tidy()
        self._manager.save(step, args=args)
        return
      except _UNWRITTEN as e:
        failed, cause = self._failed(e), e
        if getattr(e, "errno", None) not in (errno.ENOENT, errno.ENOTEMPTY):
          break
    raise failed from cause

  def wait(self) -> None:
    """Waits for what is being written; raises NotSaved if it fails."""
    try:
      self._manager.wait_until_finished()
    except _UNWRITTEN as e:
      raise self._failed(e) from e

  def check(self) -> None:
    """Raises NotSaved if what is being written has failed already."""
    try:
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
        self._manager = self._open()
        break
      except _UNWRITTEN as e:
        text = f"{errors.first_line(error)}; then {errors.first_line(e)}"
    return errors.NotSaved(f"{self.path}: {text}")

  def _tidy(self) -> None:
    """Notes the sizes of new checkpoints, deletes those not kept."""
    stay = set(self._keep(self.steps()))
    for step in self.steps():
      if step not in stay:
        self._manager.delete(step)
    if jax.process_index():
      return
    for folder in self.path.iterdir():
      if folder.name.isdigit():
        saved.note_sizes(folder)
    self._clean()

  def _clean(self) -> None:
    """Ends what a crash has cut short: deletions, and saves."""
    if not jax.process_index():
      left = (self.path / _TRASH, *self.path.glob("*.orbax-checkpoint-tmp*"))
      for folder in filter(pathlib.Path.exists, left):
        shutil.rmtree(folder)

  def delete_after(self, step: int) -> None:
    """Deletes the checkpoints of later steps (a run that is rolled back)."""
    self.wait()
    for later in [s for s in self.steps() if s > step]:
      self._manager.delete(later)

  def close(self) -> None:
    """Waits for what is being written; raises NotSaved if it fails."""
    try:
      if self._write:
        self.wait()
        self._tidy()
    except OSError as e:
      raise errors.NotSaved(f"{self.path}: {errors.first_line(e)}") from e
    finally:
      self._manager.close()

  # --- reading

  def restore_newest(
    self,
    like: Any,
    say: Callable[[str], None],
    before: int | None = None,
    restore: Callable[[int, Any], Any] | None = None,
  ) -> tuple[int, Any, Mapping[str, Any]]:
    """(step, state, meta) of the newest checkpoint that is intact.

    Damaged ones newer than that are moved to workdir/damaged, unless this
    only reads.

    Args:
      like: as for `restore`.
      say: told of every damaged checkpoint.
      before: only those of smaller steps.
      restore: how, if not by the method `restore`.

    Raises:
      UserError: as `restore`, of the newest, if none is intact.
    """
    steps = [s for s in self.steps()[::-1] if before is None or s < before]
    bad = {}
    for step in steps:
      try:
        found = (restore or self.restore)(step, like)
      except errors.Damaged as e:
        bad[step] = e
        say(f"checkpoint {step} is damaged: {e.seen}")
        continue
      if bad:
        say(f"falling back to the checkpoint of step {step}")
        self._set_aside(bad)
      return step, found, self.meta(step)
    raise bad[steps[0]]

  def _set_aside(self, steps: Collection[int]) -> None:
    if not self._write:
      return
    for step in [] if jax.process_index() else steps:
      target = self.path.parent / "damaged" / str(step)
      if target.exists():
        shutil.rmtree(target)
      target.parent.mkdir(exist_ok=True)
      (self.path / str(step)).rename(target)
    if jax.process_count() > 1:  # or others would still see them
      multihost_utils.sync_global_devices("damaged checkpoints set aside")
    self._manager.close()
    self._manager = self._open()

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
    found, wanted = compare.shapes(meta["arrays"]), trees.named(like)
    if sections is not None:
      found = {n: x for n, x in found.items() if n.split("/")[0] in sections}
    if lines := compare.differences(found, wanted):
      raise compare.another_model(where, lines)
    old = meta.get("saved_as", {})  # names it had in an older version
    target = {
      old.get(n, n): jax.ShapeDtypeStruct(
        x.shape, found[n].dtype, sharding=x.sharding
      )
      for n, x in wanted.items()
    }
    arrays = saved.arrays(where, target)
    arrays = {n: arrays[old.get(n, n)] for n in wanted}
    saved.check_sums(where, meta["arrays"], checksum.of(arrays))
    kind = jax.dtypes.canonicalize_dtype
    leaves = [arrays[n].astype(kind(x.dtype)) for n, x in wanted.items()]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)

  def read(self, step: int, section: str) -> dict[str, np.ndarray]:
    """Name (without the section) -> array; see `read_section`."""
    where, meta = self.path / str(step), self.meta(step)
    start = f"{section}/"
    found = compare.shapes(meta["arrays"])
    old = meta.get("saved_as", {})
    names = {n: old.get(n, n) for n in found if n.startswith(start)}
    if not names:
      raise FileNotFoundError(f"no {section} in {where}")
    arrays = saved.arrays(where, {o: found[n] for n, o in names.items()})
    arrays = {n: arrays[o] for n, o in names.items()}
    sums = {n: checksum.of_host(x) for n, x in arrays.items()}
    saved.check_sums(where, meta["arrays"], sums)
    return {n.removeprefix(start): x for n, x in arrays.items()}

  def meta(self, step: int) -> dict[str, Any]:
    """What was saved beside the arrays; raises as `saved.meta`."""
    return saved.meta(self.path / str(step))


def read_section(workdir: pathlib.Path, section: str) -> dict[str, np.ndarray]:
  """Leaf name -> array of one part of the newest checkpoint of a run.

  Args:
    workdir: of the run.
    section: "params", "ema" or "extra"; nothing else is read.

  Raises:
    FileNotFoundError: no checkpoint, or nothing of that section in it.
    UserError: it cannot be read.
  """
  store = Checkpoints(workdir, write=False)
  try:
    step = store.latest()
    if step is None:
      raise FileNotFoundError(f"no checkpoint in {store.path}")
    return store.read(step, section)
  finally:
    store.close()


def read_config(workdir: pathlib.Path) -> dict[str, Any]:
  """The resolved config of a run (workdir/config.json)."""
  return json.loads((pathlib.Path(workdir) / "config.json").read_text())
