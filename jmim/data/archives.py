"""Standard archives of data sets, as their authors publish them.

Each function opens one; its splits are read when they are asked for, example
by example. CIFAR's pickles are programs: what they may call is a table of four
names, and everything else is refused.
"""

import dataclasses
import functools
import io
import math
import pathlib
import struct
import tarfile
import zlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.core import unpickler
from jmim.data import encode
from jmim.data import packed

Examples = Iterator[dict[str, Any]]
# idx files of MNIST and its like: split -> how their names begin.
IDX = {"train": "train", "test": "t10k"}
FASHION = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag"
FASHION = (*FASHION.split(" "), "Ankle boot")
DIGITS = tuple(map(str, range(10)))
_LARGEST_MAT = 2**26  # bytes, of the names and numbers of 1,860 synsets


@dataclasses.dataclass(frozen=True, kw_only=True)
class Archive:
  """A data set that can be read.

  Attributes:
    classes: names, in the order of the labels.
    splits: name -> what yields its examples: "image", encoded, and "label".
    shape: of the images; None where they differ.
  """

  classes: Sequence[str]
  splits: Mapping[str, Callable[[], Examples]]
  shape: tuple[int, int, int] | None = None


def cifar(path: pathlib.Path, classes: int) -> Archive:
  """CIFAR-10 or -100: cifar-*-python.tar.gz or cifar-*-binary.tar.gz.

  Args:
    path: of the archive.
    classes: 10 or 100, whose fine labels are read.

  Raises:
    UserError: not such an archive.
  """
  ten = classes == 10
  files = packed.names(path)
  names = {n.rpartition("/")[2]: n for n in files}
  binary = any(n.endswith(".bin") for n in names)
  train = [f"data_batch_{i}" for i in range(1, 6)] if ten else ["train"]
  batches = {"train": train, "test": ["test_batch" if ten else "test"]}
  if binary:
    batches = {s: [f"{n}.bin" for n in b] for s, b in batches.items()}
  about = {
    (True, False): "batches.meta",
    (True, True): "batches.meta.txt",
    (False, False): "meta",
    (False, True): "fine_label_names.txt",
  }[ten, binary]
  _require(path, [*batches["train"], *batches["test"], about], names)
  read = lambda name: packed.member(path, names[name])
  with packed.sound(path):
    if binary:
      known = read(about).decode().split()
    else:
      key = b"label_names" if ten else b"fine_label_names"
      known = [n.decode() for n in _unpickled(read(about))[key]]
  rows = _cifar_binary if binary else _cifar_pickle

  def examples(split: str) -> Examples:
    for name in batches[split]:
      with packed.sound(path):
        pixels, labels = rows(read(name), ten)
        images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
      for image, label in zip(images, labels, strict=True):
        yield {"image": encode.png(image), "label": int(label)}

  return Archive(
    classes=known,
    splits={s: functools.partial(examples, s) for s in batches},
    shape=(32, 32, 3),
  )


def _cifar_binary(data: bytes, ten: bool) -> tuple[np.ndarray, np.ndarray]:
  """(pixels [n, 3072], labels [n]); of a hundred, the second byte is read."""
  rows = np.frombuffer(data, np.uint8).reshape(-1, 3073 if ten else 3074)
  return rows[:, -3072:], rows[:, -3073]


def _cifar_pickle(data: bytes, ten: bool) -> tuple[np.ndarray, Sequence[int]]:
  """The same of a pickled batch."""
  batch = _unpickled(data)
  labels = batch[b"labels" if ten else b"fine_labels"]
  return batch[b"data"].rows, labels


def _require(path: pathlib.Path, wanted: Sequence[str], names: Any) -> None:
  missing = [n for n in wanted if n not in names]
  if missing:
    raise errors.UserError(
      f"{path} has no {', '.join(missing[:4])}",
      "the archive as its authors publish it",
      "fetch it again, or name another",
      "ARCHIVE",
    )


def idx(folder: pathlib.Path, classes: Sequence[str] = DIGITS) -> Archive:
  """MNIST and its like: a folder with train-images-idx3-ubyte(.gz) and so on.

  Raises:
    UserError: a file is missing, or is not one of these.
  """
  there = {p.name.removesuffix(".gz"): p for p in sorted(folder.glob("*"))}
  kinds = ("images-idx3-ubyte", "labels-idx1-ubyte")
  wanted = {s: [f"{name}-{kind}" for kind in kinds] for s, name in IDX.items()}
  _require(folder, [n for names in wanted.values() for n in names], there)

  def examples(split: str) -> Examples:
    images, labels = (_idx(there[name]) for name in wanted[split])
    for image, label in zip(images, labels, strict=True):
      yield {"image": encode.png(image), "label": int(label)}

  splits = {s: functools.partial(examples, s) for s in IDX}
  return Archive(classes=classes, splits=splits, shape=(28, 28, 1))


def _idx(path: pathlib.Path) -> np.ndarray:
  """The array of an idx file of bytes."""
  with packed.opened(path) as file:
    head = file.read(4)
    if head[:3] != b"\0\0\x08" or len(head) < 4:
      raise ValueError("no idx file of bytes")
    shape = struct.unpack(f">{head[3]}I", file.read(4 * head[3]))
    size = math.prod(shape)
    if size > packed.MOST:
      raise ValueError(f"an array {shape} of {size} bytes")
    data = file.read(size + 1)  # no more than it says that there is
    if len(data) != size:
      more = " or more" * (len(data) > size)
      raise ValueError(f"{len(data)} bytes{more} of an array {shape}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def imagenet(
  train: pathlib.Path, validation: pathlib.Path, devkit: pathlib.Path
) -> Archive:
  """ILSVRC 2012: its two tars of images, and the kit with the labels.

  Classes are the sorted numbers of synsets, as folders and TFDS have them.

  Args:
    train: ILSVRC2012_img_train.tar, a tar of a tar for each class.
    validation: ILSVRC2012_img_val.tar.
    devkit: ILSVRC2012_devkit_t12.tar.gz.

  Raises:
    UserError: they are not these.
  """
  ids, truth = _devkit(devkit)
  classes = sorted(ids.values())
  number = {name: i for i, name in enumerate(classes)}
  return Archive(
    classes=classes,
    splits={
      "train": functools.partial(_nested, train, number),
      "validation": lambda: _flat(validation, [number[ids[i]] for i in truth]),
    },
  )


def _nested(path: pathlib.Path, number: Mapping[str, int]) -> Examples:
  with packed.tar(path) as outer:
    for member in outer:
      name = member.name.rpartition("/")[2].removesuffix(".tar")
      if name not in number:
        raise ValueError(f"{member.name}, which is no class of the kit")
      file = packed.file(outer, member)
      with tarfile.open(fileobj=file, mode="r:") as inner:
        for image in filter(tarfile.TarInfo.isfile, inner):
          data = packed.content(inner, image)
          yield {"image": data, "label": number[name]}


def _flat(path: pathlib.Path, labels: Sequence[int]) -> Examples:
  count = 0
  with packed.tar(path) as archive:
    for member in filter(tarfile.TarInfo.isfile, archive):
      which = int(member.name.rpartition("_")[2].partition(".")[0])
      if not 0 < which <= len(labels):
        raise ValueError(f"{member.name}: {len(labels)} have a label")
      data, count = packed.content(archive, member), count + 1
      yield {"image": data, "label": labels[which - 1]}
    if count != len(labels):
      raise ValueError(f"{count} images, of {len(labels)} with a label")


def _devkit(path: pathlib.Path) -> tuple[dict[int, str], list[int]]:
  """({number: synset} of the classes, numbers of the validation images)."""
  import scipy.io  # noqa: PLC0415  takes time that nothing else here needs

  names = {n.rpartition("/")[2]: n for n in packed.names(path)}
  wanted = ("meta.mat", "ILSVRC2012_validation_ground_truth.txt")
  _require(path, wanted, names)
  meta, text = (packed.member(path, names[n]) for n in wanted)
  with packed.sound(path):
    _check_mat(meta)
    rows = scipy.io.loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
    # Inner nodes of the hierarchy come after the classes: they have children.
    ids = {
      int(row["ILSVRC2012_ID"]): str(row["WNID"])
      for row in rows
      if not row["num_children"]
    }
    return ids, [int(x) for x in text.split()]


def _check_mat(data: bytes) -> None:
  """Raises ValueError if a file of Matlab 5 holds more than it may.

  After its head come elements: kind, bytes, content; packed ones are kind 15.
  """
  at, size = 128, len(data)
  while at + 8 <= len(data):
    kind, length = struct.unpack("<II", data[at : at + 8])
    content, at = data[at + 8 : at + 8 + length], at + 8 + length
    if kind == 15:
      size += len(zlib.decompressobj().decompress(content, _LARGEST_MAT))
    if size > _LARGEST_MAT:
      raise ValueError(f"unpacked, it has more than {_LARGEST_MAT} bytes")


class _Bytes(unpickler.Sealed):
  """Stands for an array: of bytes, or it is refused.

  Attributes:
    rows: the array, once the pickle has given its content.
  """

  __slots__ = ("rows",)

  def __init__(self, *_: Any):
    """An empty one, whatever size is asked for: the content follows."""
    self.rows = np.zeros(0, np.uint8)

  def __setstate__(self, state: Any):
    _, shape, _, by_column, data = state
    order = "F" if by_column else "C"
    self.rows = np.frombuffer(data, np.uint8).reshape(shape, order=order)


def _kind(name: Any, *_: Any) -> unpickler.Inert:
  if name not in ("u1", b"u1"):
    raise unpickler.Refused(f"it has an array of {name!r:.20}, not of bytes")
  return unpickler.Inert()


def _encoded(text: Any, how: Any) -> bytes:
  """Bytes that Python 3 wrote for Python 2."""
  if not isinstance(text, str) or how not in ("latin1", b"latin1"):
    raise unpickler.Refused(f"it encodes in {how!r:.20}")
  return text.encode("latin1")


_CALLED = {
  **{
    f"numpy.{core}.multiarray._reconstruct": unpickler.Function(_Bytes)
    for core in ("core", "_core")
  },
  "numpy.ndarray": "ndarray",  # is named, not called
  "numpy.dtype": unpickler.Function(_kind),
  "_codecs.encode": unpickler.Function(_encoded),
}


def _unpickled(data: bytes) -> dict[bytes, Any]:
  size = max(len(data), 8)  # bytes of a text, and of all with their copies
  return unpickler.Unpickler(
    io.BytesIO(data), _CALLED, encoding="bytes", longest=size, most=4 * size
  ).load()
