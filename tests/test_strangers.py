"""Files of strangers: refused in one message, soon, and nothing of them runs.

One list of all of them, by what opens them: pictures, shards, arrays, archives,
weights, folders with a config. What each said and took is shown by

    pytest tests/test_strangers.py -rP
"""

import contextlib
import gzip
import io
import json
import os
import pathlib
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from array_record.python import array_record_module
from PIL import Image
from strangers import MIB
from strangers import File
from strangers import watch

import jmim
from jmim.checkpoints import heads
from jmim.convert import files
from jmim.convert import pickles
from jmim.core import crc32c
from jmim.core import errors
from jmim.core import run_config
from jmim.core import unpickler
from jmim.data import again
from jmim.data import archives
from jmim.data import decode
from jmim.data import pipeline
from jmim.data import sources
from jmim.data import specs
from jmim.data import tfrecord
from jmim.data import views
from jmim.report import page

# A program, which Ghostscript runs when Pillow hands the file to it.
EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 64 64
%%EndComments
(ran) print
%%EOF
"""
REFUSED = (errors.UserError, decode.BadImage, unpickler.Refused)
_FEW = 64 * MIB


def _jpeg(height: int = 8, width: int = 8) -> bytes:
  """A JPEG that says it is of that size."""
  file = io.BytesIO()
  Image.new("RGB", (8, 8)).save(file, "jpeg")
  data = bytearray(file.getvalue())
  place = data.index(b"\xff\xc0") + 5
  data[place : place + 4] = struct.pack(">HH", height, width)
  return bytes(data)


# --- pictures


def _in_folder(data: bytes):
  def write(folder: pathlib.Path) -> pathlib.Path:
    (folder / "train").mkdir()
    (folder / "train" / "064.jpg").write_bytes(data)
    return folder

  return write


def _in_shard(data: bytes):
  def write(folder: pathlib.Path) -> pathlib.Path:
    with tarfile.open(folder / "train-0.tar", "w") as tar:
      info = tarfile.TarInfo("064.jpg")
      info.size = len(data)
      tar.addfile(info, io.BytesIO(data))
    return folder

  return write


def _batch(name: str, **fields):
  def read(folder: pathlib.Path):
    source = sources.build(name, "train", str(folder))
    spec = pipeline.Spec(batch=1, size=8, threads=0, **fields)
    return next(pipeline.evaluation_batches(source, spec))

  return read


def _beside(data: bytes, **fields):
  """A picture of `data.pictures`."""

  def read(_):
    spec = specs.Spec(size=8, pictures=(("garment", 8, 8),), **fields)
    example = {"image": _jpeg(), "garment": data}
    return views.Maker(spec, training=True)(
      example, [np.random.default_rng(0)], "one"
    )

  return read


_HUGE = _jpeg(13000, 13000)
PICTURES = [
  File(
    "PostScript in a folder",
    _in_folder(EPS),
    _batch("folder"),
    r"064.jpg: \d+ bytes that are no picture in JPEG",
  ),
  File(
    "PostScript in a shard",
    _in_shard(EPS),
    _batch("tar"),
    r"train-0.tar, byte 512: \d+ bytes that are no picture in JPEG",
  ),
  File(
    "PostScript beside the image",
    lambda folder: folder,
    _beside(EPS),
    "no picture in JPEG",
  ),
  File(
    "700 bytes that say 13000 x 13000",
    _in_folder(_HUGE),
    _batch("folder"),
    r"13000 x 13000 pixels, .*data\.max_pixels",
  ),
  File(
    "more pixels than the key allows",
    _in_folder(_jpeg()),
    _batch("folder", max_pixels=63),
    "8 x 8 pixels, above the limit of 63",
  ),
  File(
    "too many pixels beside the image",
    lambda folder: folder,
    _beside(_jpeg(16, 16), max_pixels=255),
    "16 x 16 pixels, above the limit of 255",
  ),
]


# --- shards, records, arrays, texts

_FIRST = _jpeg()


def _tar(*members: tuple[str, bytes], change=lambda data: data):
  """A shard with members, then changed."""

  def write(folder: pathlib.Path) -> pathlib.Path:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
      for name, data in members:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    (folder / "train-0.tar").write_bytes(change(file.getvalue()))
    return folder

  return write


def _size_of_second(octal: bytes):
  """Writes another size, 12 bytes, into the header of the second member."""

  def change(data: bytes) -> bytes:
    start = data.index(b"b.jpg")
    head = bytearray(data[start : start + 512])
    head[124:136] = octal
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return data[:start] + bytes(head) + data[start + 512 :]

  return change


def _records(data: bytes, change=lambda data: data):
  """A file of TFRecord with one record, as one shard of a list."""

  def write(folder: pathlib.Path) -> pathlib.Path:
    length = struct.pack("<Q", len(data))
    checksum = lambda x: struct.pack("<I", crc32c.masked(x))
    whole = length + checksum(length) + data + checksum(data)
    (folder / "x.tfrecord").write_bytes(change(whole))
    return folder

  return write


def _first_record(folder: pathlib.Path):
  parts = [(str(folder / "x.tfrecord"), 0, -1)]
  return tfrecord.TfRecordSource(parts, "x", None, folder / "index")[0]


def _flip(at: int):
  def change(data: bytes) -> bytes:
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]

  return change


def _fifo(folder: pathlib.Path) -> pathlib.Path:
  (folder / "train").mkdir()
  os.mkfifo(folder / "train" / "064.jpg")
  return folder


def _endless(folder: pathlib.Path) -> pathlib.Path:
  (folder / "train").mkdir()
  (folder / "train" / "064.jpg").symlink_to("/dev/zero")
  return folder


_TWO = (("a.jpg", _FIRST), ("b.jpg", _FIRST))
_open = lambda name: lambda folder: sources.build(name, "train", str(folder))
SHARDS = [
  File(name, write, open_it, says)
  for name, open_it, write, says in (
    (
      "a shard that is cut within a member",
      _open("tar"),
      _tar(*_TWO, change=lambda data: data[:1700]),
      "train-0.tar: .*after member a.jpg",
    ),
    (
      "a shard that is compressed",
      _open("tar"),
      _tar(*_TWO, change=gzip.compress),
      "train-0.tar: compressed",
    ),
    (
      "a shard of no bytes",
      _open("tar"),
      _tar(change=lambda data: b""),
      "train-0.tar: empty file",
    ),
    (
      "a member whose size is negative",
      _open("tar"),
      _tar(*_TWO, change=_size_of_second(b"\xff" * 10 + b"\xfa\x00")),
      "train-0.tar: ",
    ),
    (
      "a member of 8 GiB in a shard of 3 KiB",
      _open("tar"),
      _tar(*_TWO, change=_size_of_second(b"77777777777\0")),
      "train-0.tar: .*after member b.jpg",
    ),
    (
      "a label of no class",
      _open("tar"),
      _tar(("a.jpg", _FIRST), ("a.cls", b"4294967296")),
      "member a.cls: the label 4294967296, of no class",
    ),
    (
      "a label of 10,000 digits",
      _open("tar"),
      _tar(("a.jpg", _FIRST), ("a.cls", b"9" * 10**4)),
      "member a.cls: a label of 10000 characters",
    ),
    (
      "a label of 20 MB",
      _open("tar"),
      _tar(("a.jpg", _FIRST), ("a.cls", bytes(2 * 10**7))),
      "member a.cls: a label of 20000000 bytes",
    ),
    (
      "a label that is nested without end",
      _open("tar"),
      _tar(("a.jpg", _FIRST), ("a.json", b"[" * 10**6)),
      "member a.json: ",
    ),
    (
      "a record with a flipped bit",
      _first_record,
      _records(b"\x0a\x00", _flip(12)),
      "its checksum does not agree",
    ),
    (
      "a record with a flipped bit in its length",
      _first_record,
      _records(b"\x0a\x00", _flip(5)),
      "record 0, at byte 0: its length",
    ),
    (
      "records that are compressed",
      _first_record,
      _records(b"\x0a\x00", gzip.compress),
      "x.tfrecord is compressed",
    ),
    (
      "a record with a number that never ends",
      _first_record,
      _records(b"\x80" * 10**6),
      "more than 64 bits",
    ),
    (
      "a record with a name of 2^40 zeros",
      _first_record,
      _records(b"\x0a\x09\x0a\x07\x08\x80\x80\x80\x80\x80\x20"),
      "a number in the place of bytes",
    ),
    (
      "an .npz of 4 TiB in 100 bytes",
      _open("array"),
      lambda folder: (
        (folder / "train.npz").write_bytes(_npz(_header("(1048576, 1048576)")))
        and folder
      ),
      "0 are there",
    ),
    (
      "a file of ids that is an archive",
      _open("text/ids:8"),
      lambda folder: (
        (folder / "train.npy").write_bytes(_npz(_header("(1,)"), bytes(4)))
        and folder
      ),
      "an archive of arrays",
    ),
    (
      "a file of ids that says more than it has",
      _open("text/ids:8"),
      lambda folder: (
        (folder / "train.npy").write_bytes(
          b"\x93NUMPY\x01\x00" + _header("(1099511627776,)", "<i4")
        )
        and folder
      ),
      "train.npy",
    ),
    ("a pipe in a folder", _batch("folder"), _fifo, "a pipe or a device"),
    ("a device in a folder", _batch("folder"), _endless, "a pipe or a device"),
  )
]


# --- folders with a config

_TOY = {"method": {"type": "mim.mae"}, "data": {}, "evals": {}}


def _json(name: str, content, more: tuple[str, ...] = ()):
  """A folder with one file of JSON, and empty folders."""

  def write(folder: pathlib.Path) -> pathlib.Path:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text)
    for one in more:
      (folder / one).mkdir()
    return folder

  return write


_NOTHING = {"jsonFeature": {}}


def _tfds(kind: str, content=_NOTHING, count: int = 1):
  """A data set of TFDS of so many examples, with a feature of a class."""

  def write(folder: pathlib.Path) -> pathlib.Path:
    place = folder / "theirs" / "1.0.0"
    place.mkdir(parents=True)
    split = {"name": "train", "shardLengths": [str(count)], "numBytes": "1"}
    about = {"name": "theirs", "version": "1.0.0", "splits": [split]}
    about["fileFormat"] = "array_record"
    (place / "dataset_info.json").write_text(json.dumps(about))
    features = {
      "pythonClassName": _FEATURES,
      "featuresDict": {
        "features": {"image": {"pythonClassName": kind} | content}
      },
    }
    (place / "features.json").write_text(json.dumps(features))
    return folder

  return write


_FEATURES = "tensorflow_datasets.core.features.features_dict.FeaturesDict"
_THEIRS = _TOY | {"method": {"type": "a_stranger"}}
_WATCHES = _TOY | {"evals": {"x": {"type": "a_stranger"}}}
FOLDERS = [
  File(
    "an export that names a module",
    _json("jmim.json", {"config": _THEIRS, "family": ""}),
    jmim.load,
    "its method has the type a_stranger",
  ),
  File(
    "a run that names a module",
    _json("config.json", _THEIRS, ("checkpoints",)),
    jmim.load,
    "its method has the type a_stranger",
  ),
  File(
    "a run with an evaluator that is a module",
    _json("config.json", _WATCHES, ("checkpoints",)),
    run_config.load,
    "its evals has the type a_stranger",
  ),
  File(
    "a run whose procedure is a module",
    _json("config.json", {"procedure": {"type": "a_stranger"}}),
    run_config.load,
    "its procedure has the type a_stranger",
  ),
  File(
    "a method that is no section",
    _json("jmim.json", {"config": {"method": 3}, "family": ""}),
    jmim.load,
    "its method has the type None",
  ),
  File(
    "an export that is a list",
    _json("jmim.json", [1, 2]),
    jmim.load,
    "jmim.json: .*a list",
  ),
  File(
    "JSON that is nested without end",
    _json("jmim.json", "[" * 10**6),
    jmim.load,
    "jmim.json: .*recursion",
  ),
  File(
    "an export without a method",
    _json("jmim.json", {"config": {}, "family": ""}),
    jmim.load,
    "a config without a method",
  ),
  File(
    "a run without a method",
    _json("config.json", {}, ("checkpoints",)),
    jmim.load,
    "a config without a method",
  ),
  File(
    "a run whose config is a list",
    _json("config.json", [], ("checkpoints",)),
    jmim.load,
    "config.json: .*a list",
  ),
  File(
    "a run whose config is looked at and is a list",
    _json("config.json", []),
    run_config.load,
    "a list",
  ),
  File(
    "a hub folder with words for numbers",
    _json("config.json", {"model_type": "vit", "hidden_size": "; rm -rf"}),
    jmim.load,
    "config.json|no weights",
  ),
  File(
    "a data set of TFDS with a feature of their module",
    _tfds("a_stranger.Evil"),
    lambda folder: sources.build("theirs", "train", str(folder)),
    "feature of the class a_stranger.Evil",
  ),
  File(
    "a data set of TFDS with a feature that is no such thing",
    _tfds("os.PathLike"),
    lambda folder: sources.build("theirs", "train", str(folder)),
    "theirs cannot be opened",
  ),
]


# --- weights


def _bytes(name: str, data: bytes):
  def write(folder: pathlib.Path) -> pathlib.Path:
    (folder / name).write_bytes(data)
    return folder / name

  return write


def _zip(
  pickled: bytes,
  data: bytes = b"",
  packed: bool = False,
  claimed: int | None = None,
):
  """A torch file with one storage, "0"."""

  def write(folder: pathlib.Path) -> pathlib.Path:
    path = folder / "x.pth"
    how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", how) as archive:
      archive.writestr("a/data.pkl", pickled, zipfile.ZIP_STORED)
      archive.writestr("a/data/0", data)
      if claimed is not None:
        archive.getinfo("a/data/0").file_size = claimed
    return path

  return write


def _tensor(shape: tuple[int, ...], stride: tuple[int, ...], stored: int):
  """A pickle with a tensor "w" over storage "0" of so many floats."""
  numbers = lambda row: pickle.dumps(row, 2)[2:-1]
  return (
    b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n"
    b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + numbers(stored) + b"tQ"
    b"K\x00" + numbers(shape) + numbers(stride) + b"\x89}tRs."
  )


def _plain(*things, end: bytes = b"") -> bytes:
  """The format before torch 1.6: pickles in a row."""
  head = [pickle.dumps(x, 2) for x in (pickles.MAGIC, 1001, {})]
  return b"".join([*head, *things, end])


def _shared_lists(depth: int, loop: bool = False) -> bytes:
  """[[x, x], [x, x]] and so on: 2^depth to walk; a loop: it holds itself."""
  parts = [b"\x80\x02]q\x00"]
  for i in range(depth):
    one = b"h" + bytes([i])
    parts.append(b"]q" + bytes([i + 1]) + b"(" + one + one + b"e")
  last = b"h" + bytes([depth])
  return b"".join([*parts, last + last + b"a" if loop else b"", b"."])


def _npz(header: bytes, packed: bytes = b"") -> bytes:
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + header + packed)
  return file.getvalue()


def _header(shape: str, kind: str = "<f4") -> bytes:
  text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}"
  return struct.pack("<H", len(text)) + text.encode()


class _Call:
  def __reduce__(self):
    return os.system, ("touch_me",)


def _all_arrays(path: pathlib.Path):
  weights = files.read(path)
  return [weights[name] for name in weights]


_KEYS = pickle.dumps(["0"], 2)
_ONE = _tensor((1,), (1,), 1)
WEIGHTS = [
  File(name, write, _all_arrays, says)
  for name, write, says in (
    ("a pickle that calls", _zip(pickle.dumps({"a": _Call()})), "system"),
    (
      "a plain pickle that calls",
      _bytes("x.bin", pickle.dumps({"a": _Call()}, 2)),
      "system",
    ),
    ("lists that never end", _zip(_shared_lists(200)), "deeper than 64"),
    ("lists that hold themselves", _zip(_shared_lists(60)), "more than"),
    ("a list that holds itself", _zip(_shared_lists(9, True)), "deeper|more"),
    (
      "the same in the plain format",
      _bytes("x.bin", _plain(_shared_lists(60), pickle.dumps([], 2))),
      "more than",
    ),
    (
      "a memo of 2^32 places",
      _zip(b"\x80\x02]r\xff\xff\xff\xffh\x00."),
      "damaged or no torch file",
    ),
    (
      "a name of 4 GiB",
      _zip(b"\x80\x02X\xff\xff\xff\xffa."),
      "a name or number of 4294967295 bytes",
    ),
    (
      "a storage that is packed a thousand times",
      _zip(_tensor((2**24,), (1,), 2**24), bytes(2**26), packed=True),
      "packed or encrypted",
    ),
    (
      "a storage that says it is larger than the file",
      _zip(_tensor((2**40,), (1,), 2**40), bytes(4), claimed=2**42),
      "packed or encrypted|not all there|missing or cut",
    ),
    (
      "a tensor of stride 0",
      _zip(_tensor((2**20, 2**20), (0, 0), 1), bytes(4)),
      "a tensor of shape",
    ),
    (
      "a storage that is not there",
      _zip(_tensor((2**30,), (1,), 2**30), bytes(4)),
      "storage 0 is missing or cut",
    ),
    (
      "numbers that a plain file has not",
      _bytes(
        "x.bin", _plain(_tensor((2**30,), (1,), 2**30), pickle.dumps(["0"], 2))
      ),
      "cut: ",
    ),
    (
      "a plain file without its keys",
      _bytes("x.bin", _plain(_ONE, pickle.dumps([], 2))),
      "storage 0 is missing",
    ),
    (
      "a plain file that ends before its keys",
      _bytes("x.bin", _plain(_ONE)),
      "damaged or no torch file",
    ),
    (
      "keys of no tensor",
      _bytes("x.bin", _plain(_ONE, pickle.dumps(["0", "1"], 2), end=bytes(99))),
      "storage 1 belongs to no tensor",
    ),
    (
      "an index that names itself",
      _bytes("a.index.json", b'{"weight_map": {"a": "a.index.json"}}'),
      "is an index too",
    ),
    (
      "an index that leads elsewhere",
      _bytes("a.index.json", b'{"weight_map": {"a": "../../etc/passwd"}}'),
      "not beside it",
    ),
    (
      "an array of 4 TiB in 100 bytes",
      _bytes("a.npz", _npz(_header("(1048576, 1048576)"))),
      "shape .* 0 are there",
    ),
    (
      "an array of objects",
      _bytes("a.npz", _npz(_header("(1,)", "|O"), pickle.dumps([_Call()]))),
      "pickled objects",
    ),
    (
      "a header of an array that is a program",
      _bytes("a.npz", _npz(struct.pack("<H", 9) + b"__file__\n")),
      "a.npz: ",
    ),
    (
      "a .safetensors with a header of 2^60 bytes",
      _bytes("a.safetensors", struct.pack("<Q", 2**60) + b"{}"),
      "a.safetensors: ",
    ),
    (
      "a .safetensors with arrays that are not there",
      _bytes(
        "a.safetensors",
        struct.pack("<Q", 68)
        + b'{"a":{"dtype":"F32","shape":[1048576],"data_offsets":[0,4194304]}}',
      ),
      "a.safetensors: ",
    ),
  )
]


# --- TFDS: files of ArrayRecord

_PICTURE = (
  "tensorflow_datasets.core.features.image_feature.Image",
  {"image": {"dtype": "uint8", "encodingFormat": "png"}},
)
_BLOCK = 2**16  # bytes, of which a file of ArrayRecord has at least one


def _arrayrecord(*records: bytes, change=lambda data: data, count: int = 2):
  """A data set of TFDS with one file, then changed."""

  def write(folder: pathlib.Path) -> pathlib.Path:
    _tfds(*_PICTURE, count)(folder)
    path = folder / "theirs/1.0.0/theirs-train.array_record-00000-of-00001"
    writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
    for record in records:
      writer.write(record)
    writer.close()
    path.write_bytes(change(path.read_bytes()))
    return folder

  return write


def _first(folder: pathlib.Path):
  return sources.build("theirs", "train", str(folder))[0]


_NOISE = [np.random.default_rng(i).bytes(_BLOCK) for i in range(2)]
RECORDS = [
  File(name, write, _first, says)
  for name, write, says in (
    (
      "a file of ArrayRecord that is cut",
      _arrayrecord(*_NOISE, change=lambda data: data[:-1]),
      "theirs-train.array_record-00000-of-00001: .*chunk boundary",
    ),
    (
      "a file of ArrayRecord of no bytes",
      _arrayrecord(change=lambda data: b""),
      "theirs-train.array_record-00000-of-00001: .*at least 64KB",
    ),
    (
      "a file of ArrayRecord of which a block is left",
      _arrayrecord(*_NOISE, change=lambda data: data[:_BLOCK]),
      "theirs-train.array_record-00000-of-00001: no record can be read",
    ),
    (
      "a file of ArrayRecord with fewer records than it should have",
      _arrayrecord(*_NOISE, count=2**40),
      f"theirs-train.array_record-00000-of-00001: 2 records, of {2**40}",
    ),
    (
      "a file of ArrayRecord that is no file",
      lambda folder: (
        (
          _tfds(*_PICTURE, 2)(folder)
          / "theirs/1.0.0/theirs-train.array_record-00000-of-00001"
        ).mkdir()
        or folder
      ),
      "theirs-train.array_record-00000-of-00001: .*Is a directory",
    ),
    (
      "a record of ArrayRecord with a flipped bit",
      _arrayrecord(*_NOISE, change=lambda data: _flip(_BLOCK // 2)(data)),
      "hash mismatch.*theirs-train.array_record-00000-of-00001",
    ),
    (
      "a record of ArrayRecord that is noise",
      _arrayrecord(*_NOISE),
      "a damaged record.*theirs-train.array_record-00000-of-00001",
    ),
    (
      "a record of ArrayRecord with nothing in it",
      _arrayrecord(b"", b""),
      "a record that is empty, in .*theirs-train.array_record-00000-of-00001",
    ),
  )
]


# --- a disk that fails: the memory of this process begins with no page (EIO)

_BAD_DISK = "/proc/self/mem"
DISKS = [
  File(
    "a picture that the disk does not give",
    lambda folder: (
      (folder / "train").mkdir()
      or (folder / "train" / "064.jpg").symlink_to(_BAD_DISK)
      or folder
    ),
    _batch("folder"),
    "064.jpg: cannot be read: Input/output error",
  ),
  File(
    "a shard that the disk does not give",
    lambda folder: (folder / "train-0.tar").symlink_to(_BAD_DISK) or folder,
    _open("tar"),
    "train-0.tar: .*Input/output error",
  ),
]


# --- archives as their authors publish them


def _cifar(batch: bytes):
  """The archive of CIFAR-10 with one pickle in all places."""

  def write(folder: pathlib.Path) -> pathlib.Path:
    names = [f"data_batch_{i}" for i in range(1, 6)]
    about = pickle.dumps({b"label_names": [b"a"] * 10}, 2)
    contents = dict.fromkeys([*names, "test_batch"], batch)
    with tarfile.open(folder / "x.tar.gz", "w:gz") as tar:
      for name, data in (contents | {"batches.meta": about}).items():
        info = tarfile.TarInfo(f"cifar/{name}")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return folder / "x.tar.gz"

  return write


def _idx(shape: tuple[int, ...], zeros: int):
  """The files of MNIST: a head and zeros, packed."""

  def write(folder: pathlib.Path) -> pathlib.Path:
    for split in ("train", "t10k"):
      for kind in ("images-idx3", "labels-idx1"):
        path = folder / f"{split}-{kind}-ubyte.gz"
        with gzip.open(path, "wb", compresslevel=1) as file:
          file.write(b"\0\0\x08" + bytes([len(shape)]))
          file.write(struct.pack(f">{len(shape)}I", *shape))
          file.write(bytes(zeros))
    return folder

  return write


_test_of = lambda open_it: lambda path: next(open_it(path).splits["test"]())
_of_cifar = _test_of(lambda path: archives.cifar(path, 10))
ARCHIVES = [
  File(
    "a batch of CIFAR that calls",
    _cifar(pickle.dumps({b"data": _Call()}, 2)),
    _of_cifar,
    "it asks for posix.system",
  ),
  File(
    "a batch of CIFAR with a memo of 2^25 places",
    _cifar(b"\x80\x02]r\xff\xff\xff\x01h\x00."),
    _of_cifar,
    "x.tar.gz: ",
  ),
  File(
    "a batch of CIFAR with an array of 2^62 bytes",
    _cifar(
      b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\n"
      b"ndarray\nJ\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86U\x01b\x87Rs."
    ),
    _of_cifar,
    "x.tar.gz: KeyError",
  ),
  File(
    "an idx file that is packed a hundred times",
    _idx((3, 28, 28), 2**27),
    _test_of(archives.idx),
    r"2353 bytes or more of an array \(3, 28, 28\)",
  ),
  File(
    "an idx file that says it has 2^96 bytes",
    _idx((2**32 - 1,) * 3, 1),
    _test_of(archives.idx),
    "an array .* bytes",
  ),
]


# --- runs: their report, and the heads that were fitted on them


def _run(name: str, data: bytes):
  """A workdir with one line of metrics and another file."""

  def write(folder: pathlib.Path) -> pathlib.Path:
    (folder / "metrics.jsonl").write_text('{"step": 1, "loss": 1.0}\n')
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
      file.write(data)
    return folder

  return write


_report = lambda folder: page.write([folder], folder / "report.html")
_of_head = lambda folder: heads.read(folder, "probe", 1, "raw")
RUNS = [
  *(
    File(f"a report of {name}", _run(file, data), _report, "")
    for name, file, data in (
      ("a config that is a list", "config.json", b"[]"),
      ("a config with sections of numbers", "config.json", b'{"method": 3}'),
      ("a config that is cut", "config.json", b'{"method"'),
      ("a config that is nested without end", "config.json", b"[" * 10**6),
      ("a run.json that is a list", "run.json", b"[]"),
      ("a run.json without a model", "run.json", b'{"hardware": {}}'),
      ("lines that are none", "metrics.jsonl", b'{"step": 2, "eval": []}\n'),
    )
  ),
  *(
    File(name, _run("heads/probe.npz", data), _of_head, says)
    for name, data, says in (
      (
        "a head of 4 TiB",
        _npz(_header("(1048576, 1048576)")),
        "probe.npz cannot be read .* 0 are there",
      ),
      ("a head that is something else", _npz(_header("(1,)"), bytes(4)), "no"),
      ("a head that is cut", _npz(_header("(1,)"))[:50], "cannot be read"),
      (
        "a head of objects",
        _npz(_header("(1,)", "|O"), pickle.dumps([_Call()])),
        "probe.npz cannot be read",
      ),
    )
  ),
]


@pytest.fixture
def traps(tmp_path, monkeypatch, unimported):
  """Programs that note that they were started; where they do."""
  ran, folder = tmp_path / "ran", tmp_path / "bin"
  folder.mkdir()
  for name in ("gs", "gswin32c", "touch_me"):
    (folder / name).write_text(f"#!/bin/sh\necho {name} >> {ran}\n")
    (folder / name).chmod(0o755)
  (folder / "a_stranger.py").write_text(
    f"import pathlib; pathlib.Path({str(ran)!r}).write_text('imported')"
  )
  monkeypatch.syspath_prepend(folder)
  unimported("a_stranger")
  monkeypatch.setenv("PATH", str(folder), prepend=":")
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
  monkeypatch.setattr(again, "PAUSES", (0.0, 0.0, 0.0))
  return ran


FILES = [
  *PICTURES,
  *SHARDS,
  *RECORDS,
  *DISKS,
  *ARCHIVES,
  *RUNS,
  *FOLDERS,
  *WEIGHTS,
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_of_a_stranger(file, tmp_path, traps):
  folder = tmp_path / "theirs"
  folder.mkdir()
  path = file.write(folder)
  refused = contextlib.nullcontext()
  if file.says:
    refused = pytest.raises(REFUSED, match=file.says)
  with watch() as took, refused as e:
    file.open(path)
  said = " ".join(str(e.value).split()) if file.says else "opened"
  said = said.replace(f"{folder}/", "").removeprefix("seen: ")
  memory = f"{took.memory / MIB:.0f} MiB"
  print(f"{file.name}: {took.seconds:.2f} s, {memory}; {said:.200}")
  assert not traps.exists(), traps.read_text()
  assert took.memory < _FEW, memory


def test_the_trap_for_postscript_works(traps):
  # Without a list of formats Pillow does start it.
  with pytest.raises(OSError), Image.open(io.BytesIO(EPS)) as picture:
    picture.load()
  assert traps.read_text().startswith("gs")
