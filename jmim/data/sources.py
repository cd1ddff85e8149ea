"""Random access sources of examples: folders, arrays, and the way to others.

A source is `len` and `[i]`; it knows nothing of order, hosts or batches. Images
stay encoded until `decode` (reading is cheap, decoding is what threads are
for). `build` is the way in; what a user can get wrong raises `UserError`.
"""

import functools
import os
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol

import numpy as np

from jmim.core import errors
from jmim.core import home
from jmim.core import objects
from jmim.data import folder_source
from jmim.data import labels
from jmim.data import paths
from jmim.data import splits
from jmim.data import table_source

_KINDS = ("folder", "tar", "array", "synthetic", "text", *table_source.NAMES)


class Source(Protocol):
  """What the pipeline reads.

  A source may also have

      __getitems__(list of indices) -> list of examples: many at once, faster
      column(name) -> an entry of all examples, or None: without reading them
      labels() -> int64 [n], -1 for none, or None: the same of labels alone
      places() -> int64 [n]: where examples lie, see `splits.common`
      file(i) -> the path of its picture; "": it has no file of its own
      classes: names of the classes, in the order of their numbers

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
    self,
    arrays: Mapping[str, Sequence],
    num_classes: int | None = None,
    origin: str = "",
  ):
    """Wraps equally long arrays; nothing is copied.

    Args:
      arrays: "image": uint8 [n, h, w, c] or a list of n encoded files; "label":
        int [n], optional; others are passed on.
      num_classes: of "label".
      origin: the file they come from, if any.

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
    self._origin = origin or id(self)
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

  def places(self) -> np.ndarray:
    """int64 [n]: where examples lie; see `splits.common`."""
    return splits.places(self._origin, within=np.arange(len(self)))


def default_dir() -> pathlib.Path:
  """Where data sets are kept if no directory is given."""
  cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
  return home.expand(cache, "XDG_CACHE_HOME") / "jmim" / "data"


def index_dir() -> pathlib.Path:
  """Where indices of large files are kept if no directory is given."""
  return default_dir().parent / "index"


def has_index(name: str) -> bool:
  """Whether files of a data set may be indexed when it is opened."""
  kind = "text" if name.partition("/")[0] == "text" else name
  return kind == "tar" or not (kind in _KINDS or objects.is_name(name))


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
  return ArraySource(
    {"image": files, "label": np.arange(count) % 10}, origin="synthetic"
  )


def arrays(folder: pathlib.Path, split: str) -> ArraySource:
  """The arrays of `<split>.npz`: "image" uint8 [n, h, w, c], "label" ...

  Raises:
    UserError: no such file, or nothing in it that can be read.
  """
  # Here, as it imports JAX, and sources are to be cheap.
  from jmim.data import npz

  path = folder / f"{split}.npz"
  if not path.is_file():
    raise errors.UserError(
      f"no file {path}",
      npz.EXPECTED,
      "correct the folder or the split",
      "data.train_split",
    )
  return ArraySource(npz.read(path), origin=str(path))


def build(
  name: str,
  split: str,
  data_dir: str = "",
  like: Source | None = None,
  trained_on: bool = False,
  index: pathlib.Path | None = None,
  max_pixels: int | None = None,
  max_bad_shards: float = 0.0,
) -> Source:
  """Opens a data set.

  Args:
    name: "folder", "tar" (WebDataset), "array" (npz files), "synthetic",
      "text/byte:1024" (see `text_source`), "csv" or "parquet" (see
      `table_source`), "my_module.my_data" (see `object_source`), or a TFDS
      name: `cifar10`, `cifar10:3.0.2`, `digits/scattered`. Those of
      jmim/data/builders are prepared when they are first asked for.
    split: a sub-folder, the beginning of the shards' names, a file name, or a
      TFDS split; possibly sliced, see `splits`: "train[:80%]".
    data_dir: the folder, or the TFDS data directory; "" is `default_dir()`.
    like: the split trained on, whose classes or characters are those of this
      one; None: that of the name "train", where there is one.
    trained_on: whether this is that split: its own classes hold.
    index: folder for indices of large files; None: `index_dir()`.
    max_pixels: of the largest picture that the source itself decodes, as TFDS
      does masks, maps and frames; None: `formats.MAX_PIXELS`.
    max_bad_shards: largest share of the shards that may be left out.

  Returns:
    A random access source with at least one example.

  Raises:
    UserError: unknown data set or split, or nothing there; a class that the
      split trained on has not.
  """
  root, index = paths.expand(data_dir), index or index_dir()
  kind = "text" if name.partition("/")[0] == "text" else name
  if objects.is_name(name):
    from jmim.data import object_source

    of_object = functools.partial(
      object_source.build, name, data_dir=root, like=splits.whole(like)
    )
    return splits.open(split, of_object)
  if kind not in _KINDS:
    # Imported here, as TFDS takes a second that users of folders need not wait.
    from etils import epath

    from jmim.data import tfds_source

    kind_of_path = epath.Path if "://" in root else pathlib.Path
    folder = kind_of_path(root) if data_dir else default_dir()
    limits = {"max_pixels": max_pixels, "max_bad_shards": max_bad_shards}
    found = tfds_source.build(name, split, folder, index, **limits)
    found.data_dir = data_dir  # where what belongs to it may lie too
    return found
  if not data_dir and kind != "synthetic":
    raise errors.UserError(
      f'data.name = "{name}" without a data_dir',
      "the path of a folder",
      "set it",
      "data.data_dir",
    )
  open_whole = functools.partial(
    _whole,
    name,
    root=root,
    like=splits.whole(like),
    trained_on=trained_on,
    index=index,
    max_bad_shards=max_bad_shards,
  )
  if _is_a_name(root, split):
    return open_whole(split)
  return splits.open(split, open_whole)


def _whole(
  name: str,
  split: str,
  root: str,
  like: Source | None,
  trained_on: bool,
  index: pathlib.Path,
  max_bad_shards: float,
) -> Source:
  """A whole split of a data set that is not of TFDS; see `build`."""
  if name == "synthetic":
    return synthetic()
  if name == "array":
    return arrays(pathlib.Path(root), split)
  classes = getattr(like, "classes", None) or None
  if name == "folder":
    return folder_source.FolderSource(
      pathlib.Path(root), split, classes=classes, trained_on=trained_on
    )
  if name in table_source.NAMES:
    return table_source.build(
      name, split, root, like=like, trained_on=trained_on
    )
  if name == "tar":
    from jmim.data import tar_source

    return tar_source.TarSource(
      root,
      split,
      index,
      classes=classes,
      trained_on=trained_on,
      max_bad_shards=max_bad_shards,
    )
  from jmim.data import text_source

  alphabet = getattr(like, "alphabet", "")
  return text_source.build(name, split, root, alphabet)


def _is_a_name(root: str, split: str) -> bool:
  """Whether something there is called like that, brackets and all."""
  if not os.path.isdir(root) or "[" not in split:
    return False
  if os.path.exists(os.path.join(root, split)):
    return True
  return any(name.startswith(split) for name in os.listdir(root))
