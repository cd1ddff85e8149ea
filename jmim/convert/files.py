"""Files of weights as lazy mappings: name -> array, read one at a time.

`.safetensors`, `.npz`, torch's `.pth`, `.pt` and `.bin` (see `pickles`), a
sharded `*.index.json`, or a folder that holds one of them. The content of a
file decides what it is, not its name.
"""

import dataclasses
import json
import math
import pathlib
import struct
import zipfile
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import safetensors

from jmim.convert import pickles
from jmim.core import errors
from jmim.core import files as core_files
from jmim.core import home
from jmim.core import npy
from jmim.core import unpickler

_INDEX = ".index.json"
# What a file that is damaged raises, of any format, opened or read.
_BROKEN = (
  *npy.BROKEN,
  safetensors.SafetensorError,
  TypeError,
  MemoryError,
  RecursionError,
)
# In a folder, the first of these that is there.
FOLDER = (
  "model.safetensors",
  "model.safetensors.index.json",
  "diffusion_pytorch_model.safetensors",
  "diffusion_pytorch_model.safetensors.index.json",
  "open_clip_model.safetensors",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
  "model.npz",
  "diffusion_pytorch_model.bin",
)
# What a layout has no place for, with our names; `read` of a folder skips it.
BESIDE = "jmim.safetensors"
FLOAT8 = {"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}
SAFE = {
  "F64": "float64",
  "F32": "float32",
  "F16": "float16",
  "BF16": "bfloat16",
  "I64": "int64",
  "I32": "int32",
  "I16": "int16",
  "I8": "int8",
  "U8": "uint8",
  "BOOL": "bool",
  **FLOAT8,
}
CODES = {name: code for code, name in SAFE.items()}


@dataclasses.dataclass(frozen=True)
class Entry:
  """One array of a file: its shape and type are known before it is read."""

  shape: tuple[int, ...]
  dtype: np.dtype
  read: Callable[[], np.ndarray]


class Weights(Mapping[str, np.ndarray]):
  """The arrays of a file; `weights[name]` reads one."""

  def __init__(self, entries: dict[str, Entry], where: str):
    """Makes a mapping of the entries of a file.

    Args:
      entries: name -> entry, of all arrays.
      where: the file, for messages.
    """
    self.entries, self.where = entries, where

  def __getitem__(self, name: str) -> np.ndarray:
    entry = self.entries[name]
    try:
      array = entry.read()
    except _BROKEN as e:
      raise _error(self.where, f"{name} cannot be read ({e})") from e
    # numpy stores bfloat16, which it does not know, as two bytes.
    return array.view(ml_dtypes.bfloat16) if array.dtype == "V2" else array

  def __iter__(self) -> Iterator[str]:
    return iter(self.entries)

  def __len__(self) -> int:
    return len(self.entries)

  def shape(self, name: str) -> tuple[int, ...]:
    """Shape of an array, without reading it."""
    return self.entries[name].shape

  def specs(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Name -> (shape, dtype), of all arrays."""
    return {n: (e.shape, np.dtype(e.dtype)) for n, e in self.entries.items()}

  def renamed(self, names: Mapping[str, str]) -> "Weights":
    """The arrays named by {new: old}, under their new names."""
    return Weights({n: self.entries[o] for n, o in names.items()}, self.where)


def read(path: str | pathlib.Path) -> Weights:
  """Opens a file or folder of weights.

  Raises:
    UserError: nothing there, an unknown or damaged file, or a pickle that
      would do more than make tensors (it is not run).
  """
  path = file = home.expand(path, "--weights")
  if path.is_dir():
    file = next((path / n for n in FOLDER if (path / n).is_file()), None)
    if file is None:
      raise _error(path, "no weights in this folder", ", ".join(FOLDER))
  if not file.is_file():
    raise _error(path, "no such file")
  try:
    return Weights(_entries(file), str(file))
  except unpickler.Refused as e:
    raise errors.UserError(
      f"{file}: {e}",
      "a file of tensors",
      "fetch it again, or ask for safetensors; a reader that runs pickles "
      "would run this one",
      "--weights",
    ) from e
  except errors.UserError:  # a ValueError too
    raise
  except _BROKEN as e:
    raise _error(file, f"{type(e).__name__}: {e}") from e


def _entries(path: pathlib.Path) -> dict[str, Entry]:
  if path.name.endswith(_INDEX):
    return _sharded(path)
  with path.open("rb") as file:
    head = file.read(9)
  if head[:4] == b"PK\x03\x04":
    with zipfile.ZipFile(path) as archive:
      names = archive.namelist()
    if all(n.endswith(".npy") for n in names):
      return _npz(path)
    return _torch(path)
  if head[8:] == b"{":  # first: the length before it may look like a pickle
    return _safetensors(path)
  if head[:1] == b"\x80":
    return _torch(path)
  raise ValueError(f"begins with {head[:8]!r}: no known format")


def _safetensors(path: pathlib.Path) -> dict[str, Entry]:
  opened = safetensors.safe_open(str(path), "np")
  entries = {}
  for name in opened.keys():  # noqa: SIM118  it is no dict
    part = opened.get_slice(name)
    code = part.get_dtype()
    if code not in SAFE:
      raise ValueError(f"{name} has the element type {code}")
    dtype = np.dtype(getattr(ml_dtypes, SAFE[code], None) or SAFE[code])
    entries[name] = Entry(
      tuple(part.get_shape()), dtype, lambda n=name: opened.get_tensor(n)
    )
  return entries


def _npz(path: pathlib.Path) -> dict[str, Entry]:
  stored = np.load(path, allow_pickle=False)
  entries = {}
  for name in stored.files:
    with stored.zip.open(f"{name}.npy") as file:
      shape, dtype = npy.header(file)
    if dtype.hasobject:
      raise unpickler.Refused(f"{name} holds pickled objects; nothing was run")
    npy.check(stored.zip, stored.zip.getinfo(f"{name}.npy"))
    entries[name] = Entry(shape, dtype, lambda n=name: stored[n])
  return entries


def _torch(path: pathlib.Path) -> dict[str, Entry]:
  return {
    name: Entry(t.shape, np.dtype(t.dtype), t.read)
    for name, t in pickles.read(path).items()
  }


def _sharded(path: pathlib.Path) -> dict[str, Entry]:
  """An index: {"weight_map": {name: file beside it}}."""
  names = core_files.read_object(path, "--weights")["weight_map"]
  if not isinstance(names, dict) or not all(
    isinstance(file, str) for file in names.values()
  ):
    raise ValueError("its weight_map does not name a file for each array")
  if again := [n for n in names.values() if n.endswith(_INDEX)]:
    raise ValueError(f"its part {again[0]} is an index too")
  files = {n: path.parent / n for n in sorted(set(names.values()))}
  elsewhere = [n for n in files if pathlib.PurePath(n).name != n]
  lacking = [n for n, file in files.items() if not file.is_file()]
  if elsewhere or lacking:
    raise ValueError(
      f"its parts {', '.join((elsewhere or lacking)[:8])} are "
      f"{'not beside it' if elsewhere else 'missing'}"
    )
  parts = {n: _entries(file) for n, file in files.items()}
  absent = [n for n, file in names.items() if n not in parts[file]]
  if absent:
    raise ValueError(f"its parts lack {', '.join(absent[:8])}")
  return {n: parts[file][n] for n, file in names.items()}


def write(
  path: str | pathlib.Path,
  specs: Mapping[str, tuple[tuple[int, ...], Any]],
  arrays: Iterable[tuple[str, np.ndarray]],
) -> None:
  """Writes a .safetensors one array at a time.

  The package's own writer needs all of them in memory at once.

  Args:
    path: the file; it appears when it is complete.
    specs: name -> (shape, dtype).
    arrays: (name, array) in the order of `specs`.
  """
  path, at = pathlib.Path(path), 0
  # Transformers reads no other format.
  header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
  for name, (shape, dtype) in specs.items():
    dtype = np.dtype(dtype)
    end = at + math.prod(shape) * dtype.itemsize
    code, shape = CODES[dtype.name], list(shape)
    header[name] = {"dtype": code, "shape": shape, "data_offsets": [at, end]}
    at = end
  text = json.dumps(header).encode()
  text += b" " * (-len(text) % 8)
  temporary = path.with_name(path.name + ".tmp")
  with temporary.open("wb") as file:
    file.write(struct.pack("<Q", len(text)) + text)
    stream = iter(arrays)  # zip would hold each array while the next is made
    for expected, (shape, dtype) in specs.items():
      name, array = next(stream)
      assert (name, array.shape) == (expected, tuple(shape)), (name, expected)
      array = np.asarray(array, dtype, order="C")
      file.write(array.reshape(-1).view(np.uint8).data)
      del array
    assert next(stream, None) is None
  temporary.replace(path)


def write_npz(
  path: str | pathlib.Path, arrays: Iterable[tuple[str, np.ndarray]]
) -> None:
  """Writes (name, array) pairs as an .npz, one at a time."""
  path = pathlib.Path(path)
  temporary = path.with_name(path.name + ".tmp")
  with zipfile.ZipFile(temporary, "w") as archive:
    for name, array in arrays:
      with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
  temporary.replace(path)


def _error(where, seen: str, expected: str = "") -> errors.UserError:
  return errors.UserError(
    f"{where}: {seen}",
    expected or "a complete .safetensors, .npz, .pth or .bin, or their index",
    "give the right file, or fetch it again",
    "--weights",
  )
