"""Standard archives of data sets, as their authors publish them.

Each function opens one; its splits are read when they are asked for, example
by example. CIFAR's pickles are programs: what they may call is a table of four
names, and everything else is refused.
"""

import codecs
import dataclasses
import functools
import gzip
import io
import pathlib
import pickle
import struct
import tarfile
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.data import encode

Examples = Iterator[dict[str, Any]]
# idx files of MNIST and its like: split -> how their names begin.
IDX = {"train": "train", "test": "t10k"}
FASHION = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag"
FASHION = (*FASHION.split(" "), "Ankle boot")
DIGITS = tuple(map(str, range(10)))


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
  files = _members(path)
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
  read = lambda name: _member(path, names[name])
  if binary:
    known = read(about).decode().split()
  else:
    key = b"label_names" if ten else b"fine_label_names"
    known = [n.decode() for n in _unpickled(path, read(about))[key]]
  rows = _cifar_binary if binary else functools.partial(_cifar_pickle, path)

  def examples(split: str) -> Examples:
    for name in batches[split]:
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


def _cifar_pickle(
  path: pathlib.Path, data: bytes, ten: bool
) -> tuple[np.ndarray, Sequence[int]]:
  """The same of a pickled batch."""
  batch = _unpickled(path, data)
  return batch[b"data"], batch[b"labels" if ten else b"fine_labels"]


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
  data = path.read_bytes()
  data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
  rank = data[3] if len(data) > 3 else 0
  head = 4 + 4 * rank
  if data[:3] != b"\0\0\x08" or len(data) < head:
    raise _damaged(path, "no idx file of bytes")
  shape = struct.unpack(f">{rank}I", data[4:head])
  if len(data) - head != int(np.prod(shape, dtype=np.int64)):
    raise _damaged(path, f"{len(data) - head} bytes of an array {shape}")
  return np.frombuffer(data, np.uint8, offset=head).reshape(shape)


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
  with tarfile.open(path, "r:") as outer:
    for member in outer:
      name = member.name.rpartition("/")[2].removesuffix(".tar")
      if name not in number:
        raise _damaged(path, f"{member.name}, which is no class of the kit")
      with tarfile.open(fileobj=outer.extractfile(member), mode="r:") as inner:
        for image in filter(tarfile.TarInfo.isfile, inner):
          data = inner.extractfile(image).read()
          yield {"image": data, "label": number[name]}


def _flat(path: pathlib.Path, labels: Sequence[int]) -> Examples:
  count = 0
  with tarfile.open(path, "r:") as archive:
    for member in filter(tarfile.TarInfo.isfile, archive):
      which = int(member.name.rpartition("_")[2].partition(".")[0])
      if not 0 < which <= len(labels):
        raise _damaged(path, f"{member.name}: {len(labels)} have a label")
      data, count = archive.extractfile(member).read(), count + 1
      yield {"image": data, "label": labels[which - 1]}
  if count != len(labels):
    raise _damaged(path, f"{count} images, of {len(labels)} with a label")


def _devkit(path: pathlib.Path) -> tuple[dict[int, str], list[int]]:
  """({number: synset} of the classes, numbers of the validation images)."""
  import scipy.io  # noqa: PLC0415  takes time that nothing else here needs

  names = {n.rpartition("/")[2]: n for n in _members(path)}
  wanted = ("meta.mat", "ILSVRC2012_validation_ground_truth.txt")
  _require(path, wanted, names)
  meta, text = (_member(path, names[n]) for n in wanted)
  rows = scipy.io.loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
  # Inner nodes of the hierarchy come after the classes: they have children.
  ids = {
    int(row["ILSVRC2012_ID"]): str(row["WNID"])
    for row in rows
    if not row["num_children"]
  }
  return ids, [int(x) for x in text.split()]


def _members(path: pathlib.Path) -> list[str]:
  try:
    with tarfile.open(path) as archive:
      return archive.getnames()
  except (OSError, tarfile.TarError, EOFError) as e:
    raise _damaged(path, errors.first_line(e)) from e


def _member(path: pathlib.Path, name: str) -> bytes:
  with tarfile.open(path) as archive:
    return archive.extractfile(name).read()


def _damaged(path: pathlib.Path, seen: str) -> errors.UserError:
  return errors.UserError(
    f"{path}: {seen}",
    "the archive as its authors publish it",
    "fetch it again, or name another",
    "ARCHIVE",
  )


class _Arrays(pickle.Unpickler):
  """Reads arrays, numbers, texts, lists and dicts; nothing else is called."""

  def find_class(self, module: str, name: str) -> Any:
    """One of four names, or an error."""
    found = _CALLED.get((module.replace("_core", "core"), name))
    if found is None:
      raise pickle.UnpicklingError(f"asks for {module}.{name}; nothing was run")
    return found

  def persistent_load(self, pid: Any) -> Any:
    """There are none."""
    raise pickle.UnpicklingError("refers to other files; nothing was run")


def _array(*_: Any) -> np.ndarray:
  """An empty array, whatever size is asked for: its state follows."""
  return np.ndarray((0,), np.uint8)


_CALLED = {
  ("numpy.core.multiarray", "_reconstruct"): _array,
  ("numpy", "ndarray"): "ndarray",  # is named, not called
  ("numpy", "dtype"): np.dtype,
  ("_codecs", "encode"): codecs.encode,
}


def _unpickled(path: pathlib.Path, data: bytes) -> dict[bytes, Any]:
  try:
    return _Arrays(io.BytesIO(data), encoding="bytes").load()
  except Exception as e:  # whatever its bytes lead to, they are at fault
    raise _damaged(path, errors.first_line(e)) from e
