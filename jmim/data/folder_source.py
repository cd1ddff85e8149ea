"""Folders of image files, whose sub-folders are the classes.

All splits of a folder have one list of classes, that of the split trained on.
What is no class and no picture to be read is left out, and said once.
"""

import collections
import logging
import os
import pathlib
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.data import paths
from jmim.data import splits

_ENDINGS = tuple(f".{kind}" for kind in paths.PICTURES)
_MANY = 2**22  # files of which it is said what they take
_BYTES = 130  # of a path of 40 characters, and its label


class FolderSource:
  """Image files below a folder; sub-folders with images are the classes.

  Attributes:
    classes: their names, those of the training split; empty for a flat folder.
    num_classes: how many, or None for a flat folder.
    keys: paths of the files, relative to the folder.
    by_class: whether examples are sorted by label.
  """

  by_class = True

  def __init__(
    self,
    root: pathlib.Path,
    split: str,
    classes: Sequence[str] | None = None,
    trained_on: bool = False,
  ):
    """Lists the files; reads none.

    Args:
      root: folder with the sub-folder `split`, or itself the one to read.
      split: name of the sub-folder.
      classes: of the split trained on; None: of the sub-folder "train", if
        there is one and it has classes, else of the folder that is read.
      trained_on: whether this is that split: its own classes hold.

    Raises:
      UserError: no such folder, no image in it, images beside classes, or a
        class that the split trained on lacks.
    """
    self._folder = folder = _split_folder(root, split)
    found = _List(folder)
    train = root / "train"
    if classes is None and not trained_on and folder != train:
      classes = _List(train).classes if train.is_dir() else None
    flat, nested = found.flat, found.classes
    if bool(flat) == bool(nested):
      files = sum(map(len, nested.values()))
      raise errors.UserError(
        f"{folder} holds {len(flat)} images, its sub-folders {files}"
        + found.left_out(),
        f"images ({' '.join(_ENDINGS)}) either in it, without labels, or "
        "in one sub-folder per class",
        "point data.data_dir at such a folder",
        "data.data_dir",
      )
    if text := found.left_out():
      logging.warning("%s%s", paths.printable(str(folder)), text)
    self.classes = () if flat else tuple(classes or nested)
    self._check(nested)
    counts = [len(nested.get(name, ())) for name in self.classes]
    self.keys = flat or [k for c in self.classes for k in nested.get(c, ())]
    self._labels = None
    if not flat:
      self._labels = np.repeat(np.arange(len(counts)), counts)
    self.by_class = not flat
    self.num_classes = len(self.classes) or None

  def _check(self, nested: dict[str, list[str]]) -> None:
    unknown = [name for name in nested if name not in set(self.classes)]
    if unknown:
      raise errors.UserError(
        f"{self._folder} has {len(unknown)} classes that the split trained on "
        f"has not: {paths.some(unknown)}",
        f"some of its {len(self.classes)} classes: {paths.some(self.classes)}",
        "rename or remove these sub-folders, or give them images to train on",
        "data.eval_split",
      )

  def __len__(self) -> int:
    return len(self.keys)

  def __getitem__(self, i: int) -> dict[str, Any]:
    example: dict[str, Any] = {"image": paths.read(self.name(i))}
    if self.classes:
      example["label"] = int(self._labels[i])
    return example

  def labels(self) -> np.ndarray | None:
    """int64 [n]: the labels of all examples; None: a flat folder."""
    return self._labels

  def name(self, i: int) -> str:
    """The path of file `i`."""
    return os.path.join(self._folder, self.keys[i])

  def file(self, i: int) -> str:
    """Where picture `i` is."""
    return self.name(i)

  def places(self) -> np.ndarray:
    """int64 [n]: where examples lie; see `splits.common`."""
    folder = os.path.realpath(self._folder)
    files = (os.path.join(folder, key) for key in self.keys)
    return np.fromiter(map(hash, files), np.int64, len(self.keys))


class _List:
  """What a folder holds.

  Attributes:
    flat: images in the folder itself, sorted.
    classes: sub-folder with images -> images anywhere in it, sorted.
  """

  def __init__(self, folder: pathlib.Path):
    self._folder = folder
    self._unread = collections.defaultdict(list)  # ending -> paths
    self._folders: list[str] = []  # that are no classes
    self._count = 0
    self.flat: list[str] = []
    self.classes: dict[str, list[str]] = {}
    for entry in _visible(folder):
      if not entry.is_dir():
        self.flat += self._read_or_not(entry.name)
      elif images := list(self._walk(entry.name, (_identity(folder),))):
        self.classes[entry.name] = images
      else:
        self._folders.append(entry.name)

  def _read_or_not(self, path: str) -> list[str]:
    """[path] of an image; the others are noted."""
    if path.lower().endswith(_ENDINGS):
      self._count += 1
      if self._count == _MANY:
        logging.warning(
          "%s: more than %s files, and they are still being listed: each takes "
          "some %d bytes in every process; shards (tar, ArrayRecord) take 24",
          paths.printable(str(self._folder)),
          f"{_MANY:,}",
          _BYTES,
        )
      return [path]
    self._unread[os.path.splitext(path)[1].lower()].append(path)
    return []

  def _walk(self, name: str, above: tuple[Any, ...]) -> Iterator[str]:
    """Sorted paths, relative to the folder, of the images below `name`."""
    here = _identity(self._folder / name)
    if paths.is_system(os.path.basename(name)) or here in above:
      return  # `above`: a link to a folder that it is in
    for entry in _visible(self._folder / name):
      path = os.path.join(name, entry.name)
      if entry.is_dir():
        yield from self._walk(path, (*above, here))
      else:
        yield from self._read_or_not(path)

  def left_out(self) -> str:
    """A text on files and sub-folders that are not read; "" if there are none.

    Hidden ones are not mentioned.
    """
    parts = [
      f"{len(names)} {kind or 'files without an ending'} ({paths.some(names)})"
      for kind, names in sorted(self._unread.items())
    ]
    if self._folders:
      parts.append(
        f"{len(self._folders)} sub-folders without images of these formats, "
        f"which are no classes ({paths.some(self._folders)})"
      )
    return f"; left out: {', '.join(parts)}" if parts else ""


def _identity(folder: pathlib.Path) -> tuple[int, int]:
  stat = os.stat(folder)
  return stat.st_dev, stat.st_ino


def _visible(folder: str | pathlib.Path) -> list[os.DirEntry]:
  with os.scandir(folder) as entries:
    kept = [entry for entry in entries if not entry.name.startswith(".")]
  return sorted(kept, key=lambda entry: entry.name)


def _split_folder(root: pathlib.Path, split: str) -> pathlib.Path:
  """`root / split` if there is one, else `root`, unless it holds splits."""
  if split and (root / split).is_dir():
    _check_no_class(root, split)
    return root / split
  if not root.is_dir():
    raise paths.missing(root)
  # Falling back here would make classes of the splits.
  splits_here = [name for name in splits.USUAL if (root / name).is_dir()]
  if splits_here:
    raise errors.UserError(
      f"no split {split!r} in {root}",
      f"one of {', '.join(splits_here)}",
      "name one of them",
      "data.train_split",
    )
  return root


def _check_no_class(root: pathlib.Path, split: str) -> None:
  """Raises UserError for classes bus, car and train: which of them is a split?

  A split has classes in it, or stands beside other splits only.
  """
  folders = [e for e in _visible(root) if e.is_dir()]
  inside = [e for e in _visible(root / split) if e.is_dir()]
  if split not in splits.USUAL or len(inside) > 1:
    return
  classes = [
    e.name
    for e in folders
    if e.name.lower() not in splits.USUAL
    and not paths.is_system(e.name)
    and any(f.name.lower().endswith(_ENDINGS) for f in _visible(e.path))
  ]
  if classes:
    raise errors.UserError(
      f"{root / split} is a split or a class: beside it is "
      f"{paths.some(classes)}, with images",
      f"splits ({', '.join(splits.USUAL)}) or classes in one folder",
      f"rename the class {split!r}, or move {paths.some(classes)} elsewhere",
      "data.data_dir",
    )
