"""Tensors of PyTorch's files (`.pth`, `.bin`, `.pt`) without PyTorch.

Such a file is a pickle, which is a program; this reader runs only those that
make tensors. Every global name a pickle asks for is looked up in a table of
what a state dict needs; all else (`os.system` in a `__reduce__`) is refused by
name before anything is called. Tensors stay in the file until they are read.

Both formats: the zip of torch 1.6 and later, and the plain one before it.
"""

import collections
import pathlib
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any
from typing import BinaryIO

import ml_dtypes
import numpy as np

from jmim.convert import storage as storages
from jmim.core import unpickler

_MOST_NODES, _DEEPEST, _LONGEST = 2**20, 64, 1000
MAGIC = 0x1950A86A20F9469CFC6C  # first object of the format before torch 1.6
DTYPES = {
  "Float": np.float32,
  "Double": np.float64,
  "Half": np.float16,
  "BFloat16": ml_dtypes.bfloat16,
  "Long": np.int64,
  "Int": np.int32,
  "Short": np.int16,
  "Char": np.int8,
  "Byte": np.uint8,
  "Bool": np.bool_,
  "Untyped": np.uint8,
}
NAMED = {
  "float32": np.float32,
  "float64": np.float64,
  "float16": np.float16,
  "bfloat16": ml_dtypes.bfloat16,
  "int64": np.int64,
  "int32": np.int32,
  "int16": np.int16,
  "int8": np.int8,
  "uint8": np.uint8,
  "bool": np.bool_,
  "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
  "float8_e5m2": ml_dtypes.float8_e5m2,
}


def _ordered(*pairs: Any) -> collections.OrderedDict:
  """What a pickle makes by calling OrderedDict."""
  if pairs:
    unpickler.check_keys(key for key, _ in pairs[0])
  return collections.OrderedDict(*pairs)


# Everything a pickle may name. What is Inert is read past: options of the run
# and scalars, which stand beside the tensors in the authors' files.
ALLOWED: dict[str, Any] = {
  "collections.OrderedDict": unpickler.Function(_ordered),
  "torch._utils._rebuild_tensor": unpickler.Function(storages.rebuild),
  "torch._utils._rebuild_tensor_v2": unpickler.Function(storages.rebuild),
  "torch._utils._rebuild_tensor_v3": unpickler.Function(storages.rebuild_typed),
  "torch._utils._rebuild_parameter": unpickler.Function(
    storages.rebuild_parameter
  ),
  "torch.Size": unpickler.Function(tuple),
  "torch.storage.UntypedStorage": storages.Kind(np.uint8),
  **{f"torch.{n}Storage": storages.Kind(d) for n, d in DTYPES.items()},
  **{f"torch.{n}": storages.Kind(d) for n, d in NAMED.items()},
  **dict.fromkeys(
    (
      "argparse.Namespace",
      "torch.device",
      "_codecs.encode",
      "numpy.dtype",
      "numpy.core.multiarray.scalar",
      "numpy._core.multiarray.scalar",
    ),
    unpickler.Inert,
  ),
}


class Unpickler(unpickler.Unpickler):
  """Makes tensors, over the storages that a pickle refers to."""

  def __init__(
    self, file: BinaryIO, storage: Callable[..., storages.Storage] | None
  ):
    """Prepares to run one pickle; `load` does.

    Args:
      file: at its beginning.
      storage: (dtype, key, elements) -> the storage of a reference.
    """
    super().__init__(file, ALLOWED)
    self._storage = storage

  def persistent_load(self, pid: Any) -> storages.Storage:
    """("storage", kind, key, device, elements, ...) -> Storage."""
    if type(pid) is not tuple or len(pid) < 5 or pid[0] != "storage":
      raise unpickler.Refused("an unknown reference")
    _, kind, key, _, numel, *view = pid
    if (
      not isinstance(kind, storages.Kind)
      or type(key) not in (str, int)
      or type(numel) is not int
      or not 0 <= numel < 2**63
      or view not in ([], [None])
    ):
      raise unpickler.Refused("a storage of an unknown kind")
    return self._storage(kind.dtype, str(key), numel)


# What a damaged pickle raises, besides the above.
BROKEN = (
  pickle.UnpicklingError,
  EOFError,
  ValueError,
  TypeError,
  IndexError,
  AttributeError,
  KeyError,
  OverflowError,
  struct.error,
  zipfile.BadZipFile,
  zlib.error,
  NotImplementedError,
  MemoryError,
  RecursionError,
)


def read(path: pathlib.Path) -> dict[str, storages.Tensor]:
  """Dotted name -> tensor, of all dicts and lists in the file.

  Raises:
    Refused: it holds more than tensors, is damaged, or is no such file.
  """
  try:
    if zipfile.is_zipfile(path):
      content = _read_zip(zipfile.ZipFile(path), path.stat().st_size)
    else:
      content = _read_plain(path)
    return _Flat().of(content)
  except unpickler.Refused:
    raise
  except BROKEN as e:
    raise unpickler.Refused(
      f"damaged or no torch file ({type(e).__name__}: {e})"
    ) from e


def _read_zip(archive: zipfile.ZipFile, length: int) -> Any:
  members = {info.filename: info for info in archive.infolist()}
  roots = [
    n.removesuffix("data.pkl") for n in members if n.endswith("/data.pkl")
  ]
  if len(roots) != 1:
    raise unpickler.Refused("a zip without data.pkl")
  root = roots[0]
  if f"{root}constants.pkl" in members:
    raise unpickler.Refused(
      "a TorchScript program; save its state_dict() instead"
    )
  for name, info in members.items():
    _check_member(name, info, length)
  order = f"{root}byteorder"
  if order in members and archive.read(order) == b"big":
    raise unpickler.Refused("big-endian numbers")

  def storage(dtype, key, numel):
    name = f"{root}data/{key}"
    size = numel * np.dtype(dtype).itemsize
    if name not in members or members[name].file_size < size:
      raise unpickler.Refused(f"the data of storage {key} is missing or cut")
    return storages.Storage(dtype, numel, lambda: archive.read(name)[:size])

  with archive.open(f"{root}data.pkl") as file:
    return Unpickler(file, storage).load()


def _check_member(name: str, info: zipfile.ZipInfo, length: int) -> None:
  """Raises Refused unless a member lies in the file as it is.

  torch packs nothing; what is packed may be a thousand times as large.
  """
  packed = info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1
  if packed or info.file_size != info.compress_size:
    raise unpickler.Refused(f"{name:.80} is packed or encrypted")
  if info.header_offset + info.file_size > length:
    raise unpickler.Refused(f"{name:.80} is not all there")


def _read_plain(path: pathlib.Path) -> Any:
  """Magic, version, machine, objects, keys, then (count, numbers) of each."""
  specs: dict[str, tuple[Any, int]] = {}
  offsets: dict[str, int] = {}

  def storage(dtype, key, numel):
    specs[key] = (dtype, numel)
    size = numel * np.dtype(dtype).itemsize

    def cut():
      with path.open("rb") as file:
        file.seek(offsets[key])
        return file.read(size)

    return storages.Storage(dtype, numel, cut)

  with path.open("rb") as file:
    load = lambda: Unpickler(file, storage).load()
    if load() != MAGIC:
      raise unpickler.Refused("a pickle, but not one of torch")
    load(), load()
    content = load()
    keys = load()
    if type(keys) is not list or not all(type(k) in (str, int) for k in keys):
      raise unpickler.Refused("no list of storages")
    keys = [str(key) for key in keys]
    at, length = file.tell(), path.stat().st_size
  if lacking := sorted(set(specs) - set(keys)):
    raise unpickler.Refused(f"the data of storage {lacking[0]} is missing")
  for key in keys:
    if key not in specs:
      raise unpickler.Refused(f"storage {key:.80} belongs to no tensor")
    dtype, numel = specs[key]
    offsets[key] = at + 8
    at += 8 + numel * np.dtype(dtype).itemsize
    if at > length:
      raise unpickler.Refused(f"cut: {length} bytes, at least {at} expected")
  return content


class _Flat:
  """Tensors of nested dicts and lists, by dotted name.

  Lists that share their parts may be small in a file and endless to walk.
  """

  def __init__(self):
    self._seen, self._found = 0, {}

  def of(self, content: Any) -> dict[str, storages.Tensor]:
    """Dotted name -> tensor of everything below `content`.

    Raises:
      Refused: it is nested too deeply, or never ends.
    """
    self._walk("", content, 0)
    return self._found

  def _walk(self, name: str, node: Any, depth: int) -> None:
    self._seen += 1
    if self._seen > _MOST_NODES or depth > _DEEPEST or len(name) > _LONGEST:
      raise unpickler.Refused(
        f"dicts and lists of more than {_MOST_NODES} entries, nested deeper "
        f"than {_DEEPEST}, or names longer than {_LONGEST}"
      )
    if isinstance(node, storages.Tensor):
      self._found[name] = node
    elif isinstance(node, dict | list | tuple):
      # Not node.items(), which an OrderedDict may have been given anew.
      pairs = dict.items(node) if isinstance(node, dict) else enumerate(node)
      for key, value in pairs:
        self._walk(f"{name}.{key}" if name else str(key), value, depth + 1)
