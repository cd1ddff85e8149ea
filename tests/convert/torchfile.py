"""Writes PyTorch's two file formats without PyTorch."""

import io
import pickle
import struct
import sys
import types
import zipfile

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
KINDS = {
  "float32": "FloatStorage",
  "float16": "HalfStorage",
  "int64": "LongStorage",
  "bfloat16": "BFloat16Storage",
  "bool": "BoolStorage",
}


def _named(module, name):
  """A class that pickles as the global module.name."""
  made = type(name, (), {})
  made.__module__, made.__qualname__ = module, name
  return made


class Tensor:
  """Pickles as torch's tensors do; `stride` in elements."""

  def __init__(self, array, stride=None, shape=None, offset=0):
    self.array = np.asarray(array, order="C")
    size = self.array.itemsize
    self.shape = self.array.shape if shape is None else shape
    self.stride = stride or tuple(s // size for s in self.array.strides)
    self.offset = offset


class _Storage:
  def __init__(self, array):
    self.array = array


class Pickler(pickle.Pickler):
  def __init__(self, file, storages):
    super().__init__(file, protocol=2)
    self.storages = storages
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in KINDS.values():
      setattr(torch, name, _named("torch", name))
    self.rebuild = _named("torch._utils", "_rebuild_tensor_v2")
    utils._rebuild_tensor_v2 = self.rebuild
    self.torch, self.utils = torch, utils

  def dump(self, thing):
    before = {n: sys.modules.get(n) for n in ("torch", "torch._utils")}
    sys.modules |= {"torch": self.torch, "torch._utils": self.utils}
    try:
      super().dump(thing)
    finally:
      for name, module in before.items():
        sys.modules.pop(name)
        if module is not None:
          sys.modules[name] = module

  def reducer_override(self, thing):
    if not isinstance(thing, Tensor):
      return NotImplemented
    storage = _Storage(thing.array)
    arguments = (storage, thing.offset, thing.shape, thing.stride, False, {})
    return self.rebuild, arguments

  def persistent_id(self, thing):
    if not isinstance(thing, _Storage):
      return None
    key = str(len(self.storages))
    self.storages[key] = thing.array
    kind = getattr(self.torch, KINDS[thing.array.dtype.name])
    return ("storage", kind, key, "cpu", thing.array.size)


def save_zip(path, thing):
  storages, text = {}, io.BytesIO()
  Pickler(text, storages).dump(thing)
  with zipfile.ZipFile(path, "w") as archive:
    archive.writestr("archive/data.pkl", text.getvalue())
    archive.writestr("archive/byteorder", "little")
    for key, array in storages.items():
      archive.writestr(f"archive/data/{key}", array.tobytes())


def save_plain(path, thing):
  storages = {}
  with open(path, "wb") as file:
    for head in (MAGIC, 1001, {"little_endian": True}):
      pickle.dump(head, file, protocol=2)
    Pickler(file, storages).dump(thing)
    pickle.dump(sorted(storages), file, protocol=2)
    for key in sorted(storages):
      file.write(struct.pack("<q", storages[key].size))
      file.write(storages[key].tobytes())
