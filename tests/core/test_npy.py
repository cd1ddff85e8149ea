"""Members of .npz files: what their headers claim."""

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

from jmim.core import npy


def archive(header, data=b"", version=b"\x01\x00"):
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
    text = struct.pack("<H", len(header)) + header.encode()
    packed.writestr("a.npy", b"\x93NUMPY" + version + text + data)
  return zipfile.ZipFile(file)


def claim(shape, kind="<f4"):
  return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}"


def check(opened):
  npy.check(opened, opened.getinfo("a.npy"))


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_fine(tmp_path, write):
  arrays = {"a": np.zeros((300, 20)), "b": np.int8(3), "c": np.zeros((0, 4))}
  write(tmp_path / "x.npz", **arrays)
  with zipfile.ZipFile(tmp_path / "x.npz") as opened:
    for info in opened.infolist():
      npy.check(opened, info)
    with opened.open("a.npy") as file:
      assert npy.header(file) == ((300, 20), np.dtype(float))


@pytest.mark.parametrize(
  "opened, says",
  [
    (archive(claim("(1048576, 1048576)")), "0 are there"),
    (archive(claim("(1,)"), bytes(8)), "of 4 bytes, 8 are there"),
    (archive(claim("(1,)", "|O"), pickle.dumps([1])), "pickled objects"),
    (archive("__import__('os')"), "malformed"),
  ],
)
def test_claims_that_do_not_hold_are_refused(opened, says):
  with pytest.raises(ValueError, match=says):
    check(opened)


def test_an_unknown_version_is_refused():
  with pytest.raises(KeyError):
    check(archive(claim("(1,)"), bytes(4), b"\x07\x00"))


def test_an_encrypted_or_impossible_member_is_refused():
  opened = archive(claim("(1,)"), bytes(4))
  info = opened.getinfo("a.npy")
  info.file_size = 10**9
  with pytest.raises(ValueError, match="cannot be that large"):
    npy.check(opened, info)
  info.flag_bits |= 1
  with pytest.raises(ValueError, match="encrypted"):
    npy.check(opened, info)


def spoilt(kind):
  """An .npz, a part of it spoilt."""
  file = io.BytesIO()
  how = zipfile.ZIP_STORED if kind == "flipped" else zipfile.ZIP_DEFLATED
  with zipfile.ZipFile(file, "w", how) as packed:
    array = io.BytesIO()
    np.save(array, np.arange(1000.0))
    packed.writestr("a.npy", array.getvalue())
  data = bytearray(file.getvalue())
  if kind == "flipped":  # another checksum
    data[500] ^= 1
  elif kind == "packed":  # no stream of DEFLATE
    data[40:60] = b"\xff" * 20
  elif kind == "method":  # of compression, that nobody knows
    at = data.index(b"PK\x01\x02")
    data[8:10] = data[at + 10 : at + 12] = b"\x63\x00"
  elif kind == "cut":
    data = data[: len(data) // 2]
  elif kind == "header":
    return b"\x93NUMPY\x07\x00"
  return bytes(data) * (kind != "empty")


@pytest.mark.parametrize(
  "kind", ["flipped", "packed", "method", "cut", "header", "empty"]
)
def test_whatever_is_wrong_with_a_file_is_one_of_broken(tmp_path, kind):
  path = tmp_path / "a.npz"
  path.write_bytes(spoilt(kind))
  with pytest.raises(npy.BROKEN), np.load(path) as stored:
    _ = stored["a"]
