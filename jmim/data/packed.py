"""Archives of others, packed or not: opened within bounds, and not believed.

What is packed is unpacked to several times what the largest of the known
archives holds, and no further: 1 MB may hold 1 GB of zeros.
"""

import contextlib
import gzip
import io
import pathlib
import tarfile
from collections.abc import Iterator
from typing import IO

from jmim.core import errors

MOST = 2**30  # bytes of a file that is unpacked
LARGEST = 2**28  # bytes of one file in an archive; CIFAR-100 has 2^27.3
_GZIP = b"\x1f\x8b"


class _Packed(gzip.GzipFile):
  """A file that is unpacked up to a limit."""

  def read(self, size: int | None = -1) -> bytes:
    """All, or so many bytes.

    Raises:
      OSError: beyond the limit.
    """
    left = MOST - self.tell()
    whole = size is None or size < 0
    data = super().read(left + 1 if whole else min(size, left + 1))
    self._check(self.tell())
    return data

  def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
    """Goes to a place, forwards by unpacking."""
    self._check(offset)
    return super().seek(offset, whence)

  def _check(self, end: int) -> None:
    if end > MOST:
      raise OSError(f"unpacked, it is larger than {MOST} bytes")


@contextlib.contextmanager
def sound(path: pathlib.Path) -> Iterator[None]:
  """Raises UserError for whatever the bytes of a file lead to in the body."""
  try:
    yield
  except errors.UserError:
    raise
  except Exception as e:
    raise damaged(path, errors.first_line(e)) from e


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[IO[bytes]]:
  """The file, unpacked where it is packed; see `sound`."""
  with sound(path):
    with path.open("rb") as file:
      packed = file.read(2) == _GZIP
    with _Packed(path) if packed else path.open("rb") as file:
      yield file


@contextlib.contextmanager
def tar(path: pathlib.Path) -> Iterator[tarfile.TarFile]:
  """A tar, or one that is packed; see `sound`."""
  with opened(path) as file:
    with tarfile.open(fileobj=file, mode="r:") as archive:
      yield archive


def names(path: pathlib.Path) -> list[str]:
  """Of all members of a tar."""
  with tar(path) as archive:
    return archive.getnames()


def member(path: pathlib.Path, name: str) -> bytes:
  """The content of one."""
  with tar(path) as archive:
    return content(archive, archive.getmember(name))


def content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
  """Of a member that is open.

  Raises:
    ValueError: it is too large, or no file that lies there as it is: a sparse
      one may claim any size.
  """
  if info.size > LARGEST:
    raise ValueError(f"{info.name!r:.99} has {info.size} bytes")
  return file(archive, info).read()


def file(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
  """The same as a file."""
  if not info.isreg() or info.issparse():
    raise ValueError(f"{info.name!r:.99} is no plain file")
  return archive.extractfile(info)


def damaged(path: pathlib.Path, seen: str) -> errors.UserError:
  """The error of a file that is not what it should be."""
  return errors.UserError(
    f"{path}: {seen}",
    "the archive as its authors publish it",
    "fetch it again, or name another",
    "ARCHIVE",
  )
