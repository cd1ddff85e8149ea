"""Foreign .npz files: what is in them is read, what they claim is checked."""

import io
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

from jmim.checkpoints import npz
from jmim.core import errors

GOOD = {"a/b": np.arange(6.0).reshape(2, 3), "c": np.int8(3)}


def member(shape, data=b"", descr="<f4"):
  """The bytes of an .npy that says it has a shape."""
  file = io.BytesIO()
  header = {"descr": descr, "fortran_order": False, "shape": shape}
  np.lib.format.write_array_header_1_0(file, header)
  return file.getvalue() + data


def write(path, name, data):
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr(name, data)
  return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back(tmp_path, save):
  path = tmp_path / "w.npz"
  zeros = {"z": np.zeros(10**6)}  # as dense as it gets
  save(path, **GOOD, **zeros)
  found = npz.read(path, "key")
  assert list(found) == ["a/b", "c", "z"]
  for name, value in (GOOD | zeros).items():
    np.testing.assert_array_equal(found[name], value)


class Evil:
  """Would leave a file if it were unpickled."""

  def __reduce__(self):
    return open, ("/tmp/jmim_was_run", "w")


@pytest.mark.parametrize(
  "data, seen",
  [
    (member((10**9, 10**6), b"1234"), "bytes, 4 are there"),
    (member((2**62, 4)), "bytes, 0 are there"),
    (member((2,), b"1234"), "8 bytes, 4 are there"),
    (member((1,), pickle.dumps([Evil()]), "|O"), "pickled objects"),
    (b"\x93NUMPY\x09\x00", "cannot be read"),
    (b"no array", "cannot be read"),
  ],
  ids=["absurd", "overflow", "cut", "pickle", "version", "garbage"],
)
def test_what_is_not_there_is_not_believed(tmp_path, data, seen):
  path = write(tmp_path / "w.npz", "a.npy", data)
  tracemalloc.start()
  with pytest.raises(errors.UserError, match=seen) as e:
    npz.read(path, "init_from.path")
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert e.value.key == "init_from.path" and peak < 10**6


def test_a_size_that_no_compression_reaches_is_refused(tmp_path):
  path = write(tmp_path / "w.npz", "a.npy", member((10**12,), bytes(100)))
  data = bytearray(path.read_bytes())
  at = data.rindex(b"PK\x01\x02") + 24  # uncompressed size in the directory
  data[at : at + 4] = (2**32 - 2).to_bytes(4, "little")
  path.write_bytes(data)
  with pytest.raises(errors.UserError, match="cannot be that large"):
    npz.read(path, "key")


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_damaged_file_is_a_mistake_of_no_program(tmp_path, cut):
  path = tmp_path / "w.npz"
  np.savez(path, **GOOD)
  path.write_bytes(path.read_bytes()[:-cut])
  with pytest.raises(errors.UserError, match=r"w\.npz cannot be read"):
    npz.read(path, "key")
