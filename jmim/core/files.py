"""Writing that a crash, a full disk or a lost folder cannot leave half done."""

import contextlib
import json
import os
import pathlib
import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any
from typing import BinaryIO

from jmim.core import errors

_MOST_JSON = 2**26  # bytes; the index of a thousand shards has some 2^20
_SCHEME = re.compile(r"[a-zA-Z][\w+.-]+:")  # of a URL, without its slashes


def check_writable(folder: pathlib.Path, key: str) -> None:
  """Raises UserError unless a folder can be written, or be made.

  Args:
    folder: which may not be there yet.
    key: flag or config key that names it.
  """
  # Of gs://bucket/run a path makes gs:/bucket/run, a local folder.
  if _SCHEME.fullmatch(folder.parts[0] if folder.parts else ""):
    raise errors.UserError(
      f"{key}={folder}: a bucket or an address",
      "a folder on a disk, which all hosts of a run share",
      "mount the bucket or name a disk (NFS, Filestore, Lustre); a folder that "
      "has this name is found by its absolute path",
      key,
    )
  try:
    parent = next(p for p in (folder, *folder.parents) if p.exists())
    wrong = not parent.is_dir() or not os.access(parent, os.W_OK)
    text = f"cannot write into {parent}"
  except OSError as e:  # too long a name, say
    wrong, text = True, errors.first_line(e)
  if wrong:
    raise errors.UserError(
      f"{key}={folder}: {text}",
      "a folder that can be created",
      "choose another place",
      key,
    )


def read_object(path: pathlib.Path, key: str | None) -> dict[str, Any]:
  """The JSON object in a file, which may be of a stranger.

  Args:
    path: of the file, which is there.
    key: flag or config key that names it, for the message.

  Raises:
    UserError: it cannot be read, or holds something else.
  """
  try:
    if path.stat().st_size > _MOST_JSON:
      raise ValueError(f"more than {_MOST_JSON} bytes")
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
      raise ValueError(f"a {type(found).__name__}")
  except (OSError, ValueError, RecursionError) as e:
    raise errors.UserError(
      f"{path}: {errors.first_line(e)}",
      "an object of JSON",
      "fetch or write it again",
      key,
    ) from e
  return found


def replace(path: pathlib.Path, data: bytes | str) -> None:
  """Makes `data` the content of a file: all of it, or the old content stays.

  Raises:
    OSError: it could not be written; the file is as it was.
  """
  with writing(path) as file:
    file.write(data.encode() if isinstance(data, str) else data)


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[BinaryIO]:
  """A file that takes the place of another when the body is done.

  Raises:
    OSError: it could not be written; the file is as it was.
  """
  path = pathlib.Path(path)
  temporary = path.with_name(f"{path.name}.tmp")
  try:
    with temporary.open("wb") as file:
      yield file
      file.flush()
      os.fsync(file.fileno())
    temporary.replace(path)
  except BaseException:
    with contextlib.suppress(OSError):
      temporary.unlink(missing_ok=True)
    raise


def read_json(
  path: pathlib.Path,
  default: Any,
  fits: Callable[[Any], bool] = lambda content: True,
) -> Any:
  """The content of a small file; the default where there is none like that.

  Args:
    path: of the file.
    default: returned for one that is missing or broken.
    fits: whether what was read can be its content.
  """
  try:
    content = json.loads(path.read_text(encoding="utf-8"))
  except (OSError, ValueError, RecursionError):
    return default
  return content if fits(content) else default


def is_broken_json(path: pathlib.Path, fits: Callable[[Any], bool]) -> bool:
  """Whether a file is there whose content `read_json` would not return."""
  return path.exists() and read_json(path, path, fits) is path


class Appender:
  """Appends records to a file; each is there wholly or not at all.

  What cannot be written now waits in memory and goes first the next time, so
  that nothing is lost and the order stays.

  Attributes:
    path: of the file; created, its folder is not.
    waiting: records that are not in the file yet.
  """

  def __init__(self, path: pathlib.Path):
    """Opens the file; raises OSError if it cannot."""
    self.path = pathlib.Path(path)
    self.waiting: list[bytes] = []
    self._file = self.path.open("ab", buffering=0)

  def add(self, records: Iterable[bytes]) -> None:
    """Appends records.

    Raises:
      OSError: not all could be written; they wait.
    """
    self.waiting += records
    self.write()

  def write(self) -> None:
    """Appends what waits; raises OSError, and the rest goes on waiting."""
    self._reopen()
    while self.waiting:
      self._write(self.waiting[0])
      del self.waiting[0]

  def sync(self) -> None:
    """Appends what waits and has it reach the disk; raises OSError."""
    self.write()
    os.fsync(self._file.fileno())

  def _write(self, record: bytes) -> None:
    end = os.fstat(self._file.fileno()).st_size
    try:
      rest = memoryview(record)
      while rest:  # a disk that fills up takes the first part
        rest = rest[self._file.write(rest) :]
    except OSError:
      self._file.truncate(end)
      raise

  def _reopen(self) -> None:
    """Opens the file anew if its name now means another one, or none.

    A file whose folder was removed can still be written: into nowhere.
    """
    ours = os.fstat(self._file.fileno())
    if not self.path.exists() or not os.path.samestat(ours, self.path.stat()):
      file = self.path.open("ab", buffering=0)
      self._file.close()
      self._file = file

  def close(self) -> None:
    """Writes what waits and closes, also if that raises OSError."""
    try:
      self.write()
    finally:
      self._file.close()
