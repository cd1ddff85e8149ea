"""Checkpoints: Orbax, asynchronous, restored by name onto any mesh."""

import json
import pathlib
import subprocess
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from jmim.core import errors
from jmim.core import tree as trees

SCHEMA = 1
SIZES = "sizes.json"  # in each checkpoint, once it is complete
# What Orbax raises for files that are missing or damaged.
_BROKEN = (ValueError, KeyError, OSError)


def git_id() -> str:
  """Commit of the source tree, "-dirty" if changed; "" outside a checkout."""
  root = pathlib.Path(__file__).resolve().parents[2]
  if not (root / ".git").exists():
    return ""
  command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  return done.stdout.strip()


def differences(saved: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
  """Lines naming every leaf that is missing, unknown or of another shape."""
  lines = [f"not in the checkpoint: {n}" for n in wanted if n not in saved]
  lines += [f"only in the checkpoint: {n}" for n in saved if n not in wanted]
  for name in wanted:
    if name in saved and tuple(saved[name].shape) != tuple(wanted[name].shape):
      lines.append(
        f"shape of {name}: {tuple(saved[name].shape)} saved, "
        f"{tuple(wanted[name].shape)} wanted"
      )
  return lines


class Checkpoints:
  """The checkpoints of one workdir.

  A step directory becomes visible only when it is complete; saving returns
  as soon as the arrays are copied off the devices.
  """

  def __init__(self, workdir: pathlib.Path, keep: int = 2, write: bool = True):
    """Opens (and with `write` creates) workdir/checkpoints.

    Args:
      workdir: of the run.
      keep: newest checkpoints kept.
      write: False: only reads; nothing is created or cleaned.
    """
    self.path = pathlib.Path(workdir).resolve() / "checkpoints"
    self._write = write
    self._manager = ocp.CheckpointManager(
      self.path,
      item_names=("state", "meta"),
      options=ocp.CheckpointManagerOptions(
        max_to_keep=keep if write else None, create=write,
        read_only=not write, cleanup_tmp_directories=write,
        save_interval_steps=int(write),
      ),
    )  # fmt: skip

  def latest(self) -> int | None:
    """The newest complete step, or None."""
    return self._manager.latest_step()

  def check(self, training: bool) -> None:
    """Raises UserError unless the newest checkpoint is what a mode needs.

    Step 0 is what `jmim.convert` writes: no optimizer, nothing to continue.
    """
    latest = self.latest()
    if training and latest == 0:
      raise errors.UserError(
        f"{self.path} holds converted weights", "the workdir of a run",
        "train in another one with init_from.path pointing here", "--workdir",
      )  # fmt: skip
    if not training and latest is None:
      raise errors.UserError(
        f"no checkpoint in {self.path}", "a trained run",
        "run --mode=train first, or name its --workdir", "--workdir",
      )  # fmt: skip

  def save(self, step: int, state: Any, meta: dict[str, Any]) -> None:
    """Starts saving a state; replaces nothing that is already there."""
    if step in self._manager.all_steps():
      return
    spec = {
      n: [list(x.shape), str(x.dtype)] for n, x in trees.named(state).items()
    }
    meta = {"schema": SCHEMA, "git": git_id(), "arrays": spec, **meta}
    args = ocp.args.Composite(
      state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta)
    )
    self._manager.wait_until_finished()  # as `save` would
    self._note_sizes()
    self._manager.save(step, args=args)

  def _note_sizes(self) -> None:
    """Writes the sizes of all files into each complete checkpoint."""
    if jax.process_index():
      return
    for folder in self.path.iterdir():
      if folder.name.isdigit() and not (folder / SIZES).exists():
        (folder / SIZES).write_text(json.dumps(_sizes(folder)))

  def restore(self, step: int, like: Any) -> Any:
    """The state saved at `step`, in the shapes and shardings of `like`.

    Raises:
      UserError: unreadable, of another schema, or other names or shapes,
        all of which are listed.
    """
    where = self.path / str(step)
    # Before Orbax sees them: from each array that it cannot read it prints a
    # screen of its own.
    _check_sizes(where)
    saved = {
      n: jax.ShapeDtypeStruct(tuple(s), d)
      for n, (s, d) in self._arrays(step).items()
    }
    lines = differences(saved, trees.named(like))
    if lines:
      raise _other_model(where, lines)
    args = ocp.args.Composite(state=ocp.args.StandardRestore(like))
    try:
      return self._manager.restore(step, args=args).state
    except Exception as e:
      # Orbax raises a bare Exception where the file of an array is broken.
      if type(e) is Exception or isinstance(e, _BROKEN):
        raise _unreadable(where, e) from e
      raise

  def names(self, step: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """Leaf name -> (shape, dtype) of everything in a checkpoint."""
    return {n: (tuple(s), d) for n, (s, d) in self._arrays(step).items()}

  def read(
    self, step: int, section: str, only: str = ""
  ) -> dict[str, np.ndarray]:
    """Name (without the section) -> array; `only` one leaf, if given."""
    where = self.path / str(step)
    if not only:
      _check_sizes(where)
    start = f"{section}/"
    like = trees.nested(
      {
        name: jax.ShapeDtypeStruct(tuple(shape), dtype)
        for name, (shape, dtype) in self._arrays(step).items()
        if name == start + only or not only and name.startswith(start)
      }
    )
    if not like:
      raise FileNotFoundError(f"no {section} in {where}")
    plain = jax.tree.map(lambda x: ocp.RestoreArgs(restore_type=np.ndarray),
                         like)  # fmt: skip
    args = ocp.args.PyTreeRestore(
      item=like, restore_args=plain, partial_restore=True
    )
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
      found = reader.restore(where / "state", args=args)
    return {n.removeprefix(start): x for n, x in trees.named(found).items()}

  def restore_weights(self, step: int, like: Any) -> Any:
    """Parameters, extra and EMA of a checkpoint; nothing of the optimizer.

    A checkpoint of converted weights has no more than these; where it has no
    EMA and `like` does, that is the parameters. Arguments as of `restore`.
    """
    where = self.path / str(step)
    _check_sizes(where)
    saved = self._arrays(step)
    wanted = {"params": like.params, "extra": like.extra, "ema": like.ema}
    if not any(n.startswith("ema/") for n in saved):
      del wanted["ema"]
    wanted = {name: tree for name, tree in wanted.items() if tree}
    have = {
      n: jax.ShapeDtypeStruct(tuple(s), d)
      for n, (s, d) in saved.items()
      if n.split("/")[0] in wanted
    }
    if lines := differences(have, trees.named(wanted)):
      raise _other_model(where, lines)
    args = ocp.args.PyTreeRestore(
      item=wanted, partial_restore=True,
      restore_args=ocp.checkpoint_utils.construct_restore_args(wanted),
    )  # fmt: skip
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
      try:
        found = reader.restore(where / "state", args=args)
      except _BROKEN as e:
        raise _unreadable(where, e) from e
    params = found["params"]
    zero = np.zeros((), np.int32)
    return like.replace(
      step=zero + step, params=params, extra=found.get("extra", {}), opt={},
      ema=found.get("ema", params if like.ema else {}), window={},
      counted=zero, skipped=zero, skipped_total=zero,
    )  # fmt: skip

  def _arrays(self, step: int) -> dict[str, Any]:
    """Name -> (shape, dtype) of everything in a checkpoint."""
    args = ocp.args.Composite(meta=ocp.args.JsonRestore())
    try:
      meta = self._manager.restore(step, args=args).meta
      arrays = meta["arrays"]
    except _BROKEN as e:
      raise _unreadable(self.path / str(step), e) from e
    if meta["schema"] != SCHEMA:
      raise errors.UserError(
        f"{self.path / str(step)} has schema {meta['schema']}",
        f"schema {SCHEMA}", "read it with the version of jmim that wrote it",
        "--workdir",
      )  # fmt: skip
    return arrays

  def close(self) -> None:
    """Waits for what is being written."""
    self._manager.wait_until_finished()
    if self._write:
      self._note_sizes()
    self._manager.close()


def _sizes(folder: pathlib.Path) -> dict[str, int]:
  """Path below the folder -> bytes, of all files in it."""
  files = [p for p in folder.rglob("*") if p.is_file()]
  return {str(p.relative_to(folder)): p.stat().st_size for p in files}


def _check_sizes(folder: pathlib.Path) -> None:
  """Raises UserError if a file is gone or has another size than when saved.

  A run that was killed may not have noted them; then nothing is checked.
  """
  try:
    noted = json.loads((folder / SIZES).read_text())
  except (FileNotFoundError, ValueError):
    return
  now = _sizes(folder)
  for name, size in noted.items():
    if now.get(name) != size:
      found = f"{now[name]} bytes" if name in now else "gone"
      raise _unreadable(folder, OSError(f"{name} is {found}, was {size} bytes"))


def _other_model(where: pathlib.Path, lines: list[str]) -> errors.UserError:
  shown = "\n           ".join(lines[:12])
  more = f"\n           ... and {len(lines) - 12} more" * (len(lines) > 12)
  return errors.UserError(
    f"{where} is of another model:\n           {shown}{more}",
    "the names and shapes of this config",
    "use the config it was trained with, or another --workdir", "--workdir",
  )  # fmt: skip


def _unreadable(where: pathlib.Path, error: Exception) -> errors.UserError:
  text = str(error).strip().split("\n")[0][:200]
  return errors.UserError(
    f"{where} cannot be read ({type(error).__name__}: {text})",
    "a complete checkpoint",
    f"delete {where} to resume from the one before, or use another --workdir",
    "--workdir",
  )


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
