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
import zipfile
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from jmim.convert import storage as storages

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


class Inert:
  """Stands for an object that holds no tensors: keeps and does nothing."""

  def __init__(self, *args: Any, **kwargs: Any):
    del args, kwargs

  def __setstate__(self, state):
    del state


class Function(storages.Sealed):
  """A function of ours that a pickle may call."""

  __slots__ = ("_call",)

  def __init__(self, call: Callable[..., Any]):
    self._call = call

  def __call__(self, *arguments: Any) -> Any:
    """What the function returns."""
    return self._call(*arguments)


# Everything a pickle may name. What is Inert is read past: options of the run
# and scalars, which stand beside the tensors in the authors' files.
ALLOWED: dict[str, Any] = {
  "collections.OrderedDict": collections.OrderedDict,
  "torch._utils._rebuild_tensor": Function(storages.rebuild),
  "torch._utils._rebuild_tensor_v2": Function(storages.rebuild),
  "torch._utils._rebuild_tensor_v3": Function(storages.rebuild_typed),
  "torch._utils._rebuild_parameter": Function(storages.rebuild_parameter),
  "torch.Size": tuple,
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
    Inert,
  ),
}


class _Unpickler(pickle.Unpickler):
  """Knows the names above and nothing else."""

  def __init__(self, file, storage: Callable[..., storages.Storage]):
    super().__init__(file, encoding="utf-8")
    self._storage = storage

  def find_class(self, module: str, name: str) -> Any:
    """The stand-in of a global name; nothing is imported."""
    try:
      return ALLOWED[f"{module}.{name}"]
    except KeyError:
      raise storages.Refused(
        f"it asks for {module}.{name}, which no tensor needs; nothing of it "
        "was run"
      ) from None

  def persistent_load(self, pid: Any) -> storages.Storage:
    """("storage", kind, key, device, elements, ...) -> Storage."""
    if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
      raise storages.Refused(f"an unknown reference {pid!r:.60}")
    _, kind, key, _, numel, *view = pid
    if (
      not isinstance(kind, storages.Kind) or type(numel) is not int or any(view)
    ):
      raise storages.Refused(f"a storage {pid!r:.60}")
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
  UnicodeDecodeError,
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
      content = _read_zip(zipfile.ZipFile(path))
    else:
      content = _read_plain(path)
    return dict(_flat("", content))
  except storages.Refused:
    raise
  except BROKEN as e:
    raise storages.Refused(
      f"damaged or no torch file ({type(e).__name__}: {e})"
    ) from e


def _read_zip(archive: zipfile.ZipFile) -> Any:
  names = archive.namelist()
  roots = [n.removesuffix("data.pkl") for n in names if n.endswith("/data.pkl")]
  if len(roots) != 1:
    raise storages.Refused("a zip without data.pkl")
  root = roots[0]
  if f"{root}constants.pkl" in names:
    raise storages.Refused(
      "a TorchScript program; save its state_dict() instead"
    )
  if f"{root}byteorder" in names and archive.read(f"{root}byteorder") == b"big":
    raise storages.Refused("big-endian numbers")

  def storage(dtype, key, numel):
    name = f"{root}data/{key}"
    size = numel * np.dtype(dtype).itemsize
    if name not in names or archive.getinfo(name).file_size < size:
      raise storages.Refused(f"the data of storage {key} is missing or cut")
    return storages.Storage(dtype, numel, lambda: archive.read(name)[:size])

  with archive.open(f"{root}data.pkl") as file:
    return _Unpickler(file, storage).load()


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
    load = lambda: _Unpickler(file, storage).load()
    if load() != MAGIC:
      raise storages.Refused("a pickle, but not one of torch")
    load(), load()
    content = load()
    keys = [str(key) for key in load()]
    at, length = file.tell(), path.stat().st_size
  if lacking := sorted(set(specs) - set(keys)):
    raise storages.Refused(f"the data of storage {lacking[0]} is missing")
  for key in keys:
    dtype, numel = specs[key]
    offsets[key] = at + 8
    at += 8 + numel * np.dtype(dtype).itemsize
    if at > length:
      raise storages.Refused(f"cut: {length} bytes, at least {at} expected")
  return content


def _flat(prefix: str, node: Any):
  """(dotted name, tensor) of everything below a dict, list or tuple."""
  if isinstance(node, storages.Tensor):
    yield prefix, node
  elif isinstance(node, dict | list | tuple):
    # Not node.items(), which an OrderedDict may have been given anew.
    pairs = dict.items(node) if isinstance(node, dict) else enumerate(node)
    for key, value in pairs:
      yield from _flat(f"{prefix}.{key}" if prefix else str(key), value)
