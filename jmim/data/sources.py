"""Random access sources of examples: folders, arrays, and the way to others.

A source is `len` and `[i]`; it knows nothing of order, hosts or batches. Images
stay encoded until `decode` (reading is cheap, decoding is what threads are
for). `build` is the way in; what a user can get wrong raises `UserError`.
"""

import os
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol

import numpy as np

from jmim.core import errors
from jmim.data import labels

_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_USUAL_SPLITS = ("train", "val", "valid", "validation", "test")


class Source(Protocol):
  """What the pipeline reads.

  A source may also have `__getitems__(list of indices) -> list of examples`
  where reading many at once is faster.

  Attributes:
    num_classes: number of labels, or None if unknown or unlabelled.
  """

  num_classes: int | None

  def __len__(self) -> int:
    """Number of examples."""

  def __getitem__(self, i: int) -> dict[str, Any]:
    """Example `i`: "image" (bytes or uint8 [h, w, c]), "label" (int) if any."""

  def name(self, i: int) -> str:
    """What to call example `i` in a message."""


class ArraySource:
  """Examples that lie in memory.

  Attributes:
    num_classes: as given, else the largest label plus one, None without labels.
    fault: why "label" holds no class ids; "": it does, see `labels`.
  """

  def __init__(
    self, arrays: Mapping[str, Sequence], num_classes: int | None = None
  ):
    """Wraps equally long arrays; nothing is copied.

    Args:
      arrays: "image": uint8 [n, h, w, c] or a list of n encoded files; "label":
        int [n], optional; others are passed on.
      num_classes: of "label".

    Raises:
      UserError: the arrays differ in length.
    """
    lengths = {key: len(array) for key, array in arrays.items()}
    if len(set(lengths.values())) != 1:
      raise errors.UserError(
        f"arrays of lengths {lengths}",
        "one or more arrays of the same length",
        "pass one element per example in every array",
      )
    self._arrays, self._len = dict(arrays), next(iter(lengths.values()))
    found = labels.read(arrays.get("label", ()))
    if "label" in arrays:
      self._arrays["label"] = found.values
    self.fault = found.fault
    self.num_classes = None if found.fault else num_classes or found.classes

  def __len__(self) -> int:
    return self._len

  def __getitem__(self, i: int) -> dict[str, Any]:
    return {key: array[i] for key, array in self._arrays.items()}

  def column(self, name: str) -> Sequence | None:
    """An entry of all examples at once; None: there is none."""
    return self._arrays.get(name)

  def name(self, i: int) -> str:
    """What to call example `i` in a message."""
    return f"array element {i}"


class FolderSource:
  """Image files below a folder; sub-folders, if any, are the classes.

  Attributes:
    classes: sorted sub-folder names; empty for a flat folder.
    num_classes: their number, or None for a flat folder.
  """

  def __init__(self, root: pathlib.Path, split: str):
    """Lists the files; reads none.

    Args:
      root: folder with the sub-folder `split`, or itself the one to read.
      split: name of the sub-folder.

    Raises:
      UserError: no such folder, no image in it, or images beside classes.
    """
    self._folder = folder = _split_folder(root, split)
    self.classes = tuple(
      entry.name for entry in _visible(folder) if entry.is_dir()
    )
    flat = [e.name for e in _visible(folder) if _is_image(e.name)]
    nested = [list(_walk(folder, name)) for name in self.classes]
    files = sum(map(len, nested))
    if bool(flat) == bool(files):
      raise errors.UserError(
        f"{folder} holds {len(flat)} images, its sub-folders {files}",
        f"images ({' '.join(_EXTENSIONS)}) either in it, without labels, or "
        "in one sub-folder per class",
        "point data.data_dir at such a folder",
        "data.data_dir",
      )
    if flat:
      self.classes, nested = (), [flat]
    self._files = [name for names in nested for name in names]
    self._labels = np.repeat(np.arange(len(nested)), list(map(len, nested)))
    self.num_classes = len(self.classes) or None

  def __len__(self) -> int:
    return len(self._files)

  def __getitem__(self, i: int) -> dict[str, Any]:
    with open(self.name(i), "rb") as file:
      example: dict[str, Any] = {"image": file.read()}
    if self.classes:
      example["label"] = int(self._labels[i])
    return example

  def name(self, i: int) -> str:
    """The path of file `i`."""
    return os.path.join(self._folder, self._files[i])


def _is_image(name: str) -> bool:
  return name.lower().endswith(_EXTENSIONS)


def _visible(folder: pathlib.Path) -> list[os.DirEntry]:
  with os.scandir(folder) as entries:
    kept = [entry for entry in entries if not entry.name.startswith(".")]
  return sorted(kept, key=lambda entry: entry.name)


def _walk(folder: pathlib.Path, name: str):
  """Sorted paths, relative to `folder`, of the images anywhere in `name`."""
  for entry in _visible(folder / name):
    path = os.path.join(name, entry.name)
    if entry.is_dir():
      yield from _walk(folder, path)
    elif _is_image(path):
      yield path


def _split_folder(root: pathlib.Path, split: str) -> pathlib.Path:
  """`root / split` if there is one, else `root`, unless it holds splits."""
  if split and (root / split).is_dir():
    return root / split
  if not root.is_dir():
    raise errors.UserError(
      f"no folder {root}",
      "a folder of images",
      "check the path",
      "data.data_dir",
    )
  # Falling back here would make classes of the splits.
  splits = [name for name in _USUAL_SPLITS if (root / name).is_dir()]
  if splits:
    raise errors.UserError(
      f"no split {split!r} in {root}",
      f"one of {', '.join(splits)}",
      "name one of them",
      "data.train_split",
    )
  return root


def default_dir() -> pathlib.Path:
  """Where data sets are kept if no directory is given."""
  cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
  return pathlib.Path(cache).expanduser() / "jmim" / "data"


def index_dir() -> pathlib.Path:
  """Where indices of large files are kept."""
  return default_dir().parent / "index"


def synthetic(count: int = 512, size: int = 256) -> ArraySource:
  """JPEGs of smooth random colours, to measure everything but reading.

  Args:
    count: of different images.
    size: side, in pixels.
  """
  import cv2  # noqa: PLC0415  takes time that users of folders need not wait

  rng, files = np.random.default_rng(0), []
  for _ in range(count):
    coarse = rng.integers(0, 256, (size // 8 + 1, size // 8 + 1, 3), np.uint8)
    image = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    files.append(cv2.imencode(".jpg", image)[1].tobytes())
  return ArraySource({"image": files, "label": np.arange(count) % 10})


def arrays(folder: pathlib.Path, split: str) -> ArraySource:
  """The arrays of `<split>.npz`: "image" uint8 [n, h, w, c], "label" ...

  Raises:
    UserError: no such file, or one that cannot be read.
  """
  path = folder / f"{split}.npz"
  if not path.is_file():
    raise errors.UserError(
      f"no file {path}",
      "np.savez(path, image=uint8 [n, h, w, c], label=int [n])",
      "correct the folder or the split",
      "data.train_split",
    )
  from jmim.data import npz

  return ArraySource(npz.read(path))


def build(name: str, split: str, data_dir: str = "") -> Source:
  """Opens a data set.

  Args:
    name: "folder", "tar" (WebDataset), "array" (npz files), "synthetic",
      "text/byte:1024" (see `text_source`), or a TFDS name: `cifar10`,
      `cifar10:3.0.2`, `digits/scattered`. Those of jmim/data/builders are
      prepared when they are first asked for.
    split: a sub-folder, the beginning of the shards' names, a file name, or a
      TFDS split, possibly sliced: "train[:80%]".
    data_dir: the folder, or the TFDS data directory; "" is `default_dir()`.

  Returns:
    A random access source with at least one example.

  Raises:
    UserError: unknown data set or split, or nothing there.
  """
  if name == "synthetic":
    return synthetic()
  if name.partition("/")[0] == "text":
    from jmim.data import text_source

    return text_source.build(name, split, data_dir)
  if name not in ("folder", "tar", "array"):
    root = pathlib.Path(data_dir).expanduser() if data_dir else default_dir()
    # Imported here, as TFDS takes a second that users of folders need not wait.
    from jmim.data import tfds_source

    return tfds_source.build(name, split, root, index_dir())
  if not data_dir:
    raise errors.UserError(
      f'data.name = "{name}" without a data_dir',
      "the path of a folder",
      "set it",
      "data.data_dir",
    )
  if name == "tar":
    from jmim.data import tar_source

    return tar_source.TarSource(data_dir, split, index_dir())
  folder = pathlib.Path(data_dir).expanduser()
  return (
    arrays(folder, split) if name == "array" else FolderSource(folder, split)
  )
