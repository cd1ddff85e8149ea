r"""Orbax in a folder of any name.

Orbax looks for files by patterns that begin with its folder, and TensorStore
takes it for a URL. So `runs/lr[3e-3]` or `runs/a\b` would be written and never
be read again, and `runs/*` would read what is its neighbours'. Such a folder is
reached by a link of a plain name instead.
"""

import pathlib
import re
import tempfile

import orbax.checkpoint as ocp

from jmim.checkpoints import quiet
from jmim.core import errors

# Names that stand for themselves in a pattern and in a URL.
_PLAIN = re.compile(r"(?!//)[\w/.~+=,@%# -]*")


class Link:
  """A way to a folder whose name Orbax can take.

  Attributes:
    path: the folder itself, or a link to it.
  """

  def __init__(self, folder: pathlib.Path):
    """Makes the link, where one is needed.

    Args:
      folder: need not be there yet.

    Raises:
      UserError: no link can be made.
    """
    self._temporary: tempfile.TemporaryDirectory | None = None
    self.path = folder = folder.absolute()
    if plain(folder):
      return
    try:
      self._temporary = tempfile.TemporaryDirectory(prefix="jmim_")
      self.path = pathlib.Path(self._temporary.name) / "link"
      self.path.symlink_to(folder, target_is_directory=True)
      if not plain(self.path):
        raise OSError(f"{self.path} has a name of the same kind")
    except OSError as e:
      self.close()
      raise errors.UserError(
        f"the folder {str(folder)!r}, and no place for a link to it "
        f"({errors.first_line(e)})",
        "a path of letters, digits, '/', '.', '_', '-', '=', '+'",
        "choose another name, or set TMPDIR to a folder that can be written",
        "--workdir",
      ) from e

  def close(self) -> None:
    """Removes the link; the folder stays."""
    if self._temporary:
      self._temporary.cleanup()

  def __enter__(self) -> pathlib.Path:
    return self.path

  def __exit__(self, *error: object) -> None:
    self.close()


def plain(folder: pathlib.Path) -> bool:
  """Whether Orbax and TensorStore take a path for what it is."""
  return bool(_PLAIN.fullmatch(str(folder)))


def open(
  link: Link, folder: pathlib.Path, write: bool, seconds: int
) -> ocp.CheckpointManager:
  """The manager of a folder.

  Args:
    link: to the folder.
    folder: of checkpoints; with `write` it is made.
    write: False: only to read.
    seconds: that a host waits for what the others write.

  Raises:
    OSError: the folder cannot be made.
  """
  quiet.orbax()
  if write and link.path != folder:
    folder.mkdir(parents=True, exist_ok=True)
  return ocp.CheckpointManager(
    link.path,
    item_names=("state", "meta"),
    options=ocp.CheckpointManagerOptions(
      create=write,
      read_only=not write,
      save_interval_steps=int(write),
      # A folder that cannot be made is an error here and now; else threads
      # of Orbax wait ten minutes for it, also when the program ends.
      async_options=ocp.AsyncOptions(
        create_directories_asynchronously=False, timeout_secs=seconds
      ),
    ),
  )
