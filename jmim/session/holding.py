"""Several hosts hold one workdir: the first takes its lock, all see it."""

import pathlib
import secrets
import socket
import time
from collections.abc import Callable

from jmim.core import errors
from jmim.parallel import alike
from jmim.parallel import hosts
from jmim.session import lock as locks


def hold(
  workdir: pathlib.Path, group: hosts.Group, say: Callable[[str], None]
) -> locks.Lock | None:
  """Has the first host take the lock, and all know; None on the others.

  Those only look whether they can write there, and whether it is that folder.

  Args:
    workdir: of the run.
    group: its processes; all call this.
    say: prints a line.

  Raises:
    UserError: another run holds it, or some hosts have a folder of their own.
    NotSaved: it cannot be written.
  """
  take = lambda: _try(workdir) if group.index else locks.Lock(workdir, say)
  patience = 1 + int(locks.DEAD // max(1, group.seconds))
  kinds = (errors.UserError, OSError)
  made, error = group.attempt("workdir held", take, kinds, patience)
  if error is None:
    mark = group.of_first("lock of the workdir", made.mark if made else "")
    see = lambda: _see(workdir, mark)
    _, error = group.attempt("workdir shared", see, kinds, patience)
  if error is None:
    return made
  if made:  # it is another host that cannot go on
    made.release()
  if isinstance(error, errors.UserError):
    raise error
  text = f"{workdir}: {errors.first_line(error)}"
  raise errors.NotSaved(text) from error


def _try(workdir: pathlib.Path) -> None:
  """Writes and removes a file: this host, too, will save there."""
  workdir.mkdir(parents=True, exist_ok=True)
  own = workdir / f"{locks.NAME}.{secrets.token_hex(4)}.tmp"
  try:
    own.write_text("written?", encoding="utf-8")
  finally:
    own.unlink(missing_ok=True)


def _see(workdir: pathlib.Path, mark: str) -> None:
  """Raises UserError unless the lock is seen that the first host has taken.

  Each host writes its part of a checkpoint: in folders of their own no part is
  a checkpoint, and nothing would say so before it is read.
  """
  for pause in (*alike.PAUSES, 0):
    if locks.mark_of(workdir) == mark:
      return
    time.sleep(pause)
  raise errors.UserError(
    f"{workdir} of host {socket.gethostname()} is not that of the first host: "
    "its lock is not there",
    "one folder on a disk that all hosts share",
    "mount the disk on all of them, or name a folder on it",
    "--workdir",
  )
