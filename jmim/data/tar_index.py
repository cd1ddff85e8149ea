"""What one shard of WebDataset holds, from the headers of its members.

A key is a member's name up to the first dot; what follows says what the member
is. The image of a key is `key.jpg`, or a single `key.<anything>.jpg`.
"""

import collections
import dataclasses
import json
import re
import tarfile
from collections.abc import Mapping
from typing import IO
from typing import Any

from etils import epath

from jmim.core import errors
from jmim.data import again
from jmim.data import paths

# Pictures all the same; other members (captions, arrays) go without a word.
_UNREAD = ("heic", "heif", "avif", "jp2", "jxl", "svg")
_AFTER = 2**20  # bytes looked at behind the end of an archive
_GZIP = b"\x1f\x8b"
_LARGEST_LABEL = 2**24  # bytes of a member that holds one
_LONGEST_LABEL = 1000  # characters
_WHOLE = re.compile(r"[+-]?\d+")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
  """Images of one shard.

  Attributes:
    rows: (first byte, bytes, label as text or None) of each image.
    left_out: ending -> number of pictures that are not read.
  """

  rows: list[tuple[int, int, str | None]]
  left_out: Mapping[str, int]


def read(path: str) -> Shard:
  """Goes through the headers of a shard, and reads its labels.

  Args:
    path: local, or remote where etils knows how to read it.

  Raises:
    UserError: no tar, or compressed; it is cut short; labels that cannot be
      read; several pictures of a key.
  """
  return again.read(path, lambda: _read(path))


def _read(path: str) -> Shard:
  found, last = _Found(path), "the beginning"
  with epath.Path(path).open("rb") as file:
    if file.read(2) == _GZIP:
      raise _damaged(path, "compressed")
    file.seek(0)
    try:
      # Not compressed: the places would be those of another stream.
      with tarfile.open(fileobj=file, mode="r:") as tar:
        before = -1
        for member in tar:
          if member.size < 0 or member.offset <= before:
            # Python's module would go back and forth for ever.
            raise tarfile.ReadError(f"member {member.name!r:.99} has no size")
          before, last = member.offset, f"member {member.name}"
          if member.issparse():
            raise tarfile.ReadError(f"member {member.name!r:.99} is sparse")
          if member.isfile():
            found.add(tar, member)
        _check_end(path, file, tar.offset, last)
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
      if isinstance(error, errors.UserError):
        raise
      raise _damaged(path, f"{error}, after {last:.200}") from error
  return Shard(rows=found.rows(), left_out=found.left_out)


def is_number(label: str) -> bool:
  """Whether a label is a whole number, else it is the name of a class."""
  return _WHOLE.fullmatch(label) is not None


class _Found:
  """Collects the members of a shard."""

  def __init__(self, path: str):
    self._path = path
    # key -> what stands between it and the ending -> (member, start, bytes)
    self._images: dict[str, dict[str, tuple[str, int, int]]] = {}
    self._labels: dict[tuple[str, str], str] = {}
    self.left_out: collections.Counter[str] = collections.Counter()

  def add(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    folder, _, base = member.name.rpartition("/")
    stem, _, rest = base.partition(".")
    if not stem or any(map(paths.is_system, folder.split("/"))):
      return  # hidden, or left by a system
    if rest.lower().endswith("cls.txt"):
      rest = rest[: -len(".txt")]
    key = f"{folder}/{stem}"
    middle, _, kind = rest.rpartition(".")
    kind = kind.lower()
    if kind in paths.PICTURES:
      self._add_image(key, middle, member)
    elif kind in _UNREAD:
      self.left_out[f".{kind}"] += 1
    elif kind in ("cls", "json"):
      if member.size > _LARGEST_LABEL:
        raise self._unreadable(member.name, f"a label of {member.size} bytes")
      label = self._label(kind, member.name, tar.extractfile(member).read())
      if label is not None:
        self._add_label((key, middle), label, member.name)

  def _add_image(self, key: str, middle: str, member: tarfile.TarInfo) -> None:
    named = self._images.setdefault(key, {})
    before = named.get(middle, (member.name,))[0]
    if before != member.name:
      raise self._ambiguous(before, member.name)
    # Of members of the same name the last holds, as for `tar -r`.
    named[middle] = (member.name, member.offset_data, member.size)

  def _add_label(self, place: tuple[str, str], label: str, member: str) -> None:
    if self._labels.setdefault(place, label) != label:
      raise errors.UserError(
        f"{self._path}: {member} says {label!r}, a member of the same key "
        f"{self._labels[place]!r}",
        "one label per image",
        "build the shard again",
        "data.data_dir",
      )

  def _label(self, kind: str, member: str, data: bytes) -> str | None:
    """The label in a member; None if there is none in it."""
    try:
      value = data.decode() if kind == "cls" else json.loads(data)
    except (ValueError, RecursionError) as error:
      raise self._unreadable(member, errors.first_line(error)) from error
    if kind == "json":
      value = value.get("label") if isinstance(value, dict) else None
    if value is None:
      return None
    if isinstance(value, float) and value.is_integer():
      value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
      raise self._unreadable(member, f"the label {value!r:.80}")
    text = f"{value:d}" if isinstance(value, int) else value.strip()
    if len(text) > _LONGEST_LABEL:
      raise self._unreadable(member, f"a label of {len(text)} characters")
    if not is_number(text):
      return text or None
    if not -1 <= int(text) < 2**31 - 1:
      raise self._unreadable(member, f"the label {text}, of no class")
    return str(int(text))

  def _unreadable(self, member: str, seen: str) -> errors.UserError:
    return errors.UserError(
      f"{self._path}: member {member}: {seen}",
      "a whole number or the name of a class; in JSON, below the key label",
      "build the shard again",
      "data.data_dir",
    )

  def _ambiguous(self, one: str, other: str) -> errors.UserError:
    return errors.UserError(
      f"{self._path}: {one} and {other} have one key, the name up to the first "
      "dot",
      "one image per key",
      "rename the members, so that they differ before the first dot",
      "data.data_dir",
    )

  def rows(self) -> list[tuple[int, int, str | None]]:
    """Of all images, in the order of their keys."""
    found = []
    for key, named in self._images.items():
      for middle in self._chosen(key, named):
        common = self._labels.get((key, ""))
        label = self._labels.get((key, middle), common)
        found.append((*named[middle][1:], label))
    return found

  def _chosen(self, key: str, named: Mapping[str, Any]) -> list[str]:
    """Which pictures of a key are examples."""
    if "" in named:  # the others are masks and the like
      return [""]
    if len(named) > 1 and any((key, m) not in self._labels for m in named):
      one, other = (image[0] for image in list(named.values())[:2])
      raise self._ambiguous(one, other)
    return list(named)


def _check_end(path: str, file: IO[bytes], offset: int, last: str) -> None:
  """Raises UserError unless the archive ends where its members do.

  A damaged or shortened header looks like an end to Python's module.
  """
  file.seek(offset)
  block = file.read(tarfile.BLOCKSIZE)
  if len(block) < tarfile.BLOCKSIZE or any(block):
    raise _damaged(path, f"no header and no end at byte {offset}, after {last}")
  if any(file.read(_AFTER)):
    raise _damaged(path, f"it goes on after its end, after {last}")


def _damaged(path: str, seen: str) -> errors.UserError:
  return errors.UserError(
    f"{path}: {seen}",
    "one whole tar file, not compressed",
    "copy or build it again, or take it away",
    "data.data_dir",
  )
