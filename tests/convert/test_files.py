"""Files of weights: every format, and what is damaged."""

import collections
import json
import os
import pickle

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
import torchfile

from jmim.convert import files
from jmim.core import errors


@pytest.fixture
def arrays():
  rng = np.random.default_rng(0)
  return {
    "a.weight": rng.normal(size=(3, 4)).astype(np.float32),
    "a.bias": rng.normal(size=4).astype(np.float16),
    "b": rng.normal(size=(2, 2)).astype(ml_dtypes.bfloat16),
    "steps": np.asarray(7, np.int64),
    "flag": np.asarray([True, False]),
  }


def torch_dict(arrays):
  return collections.OrderedDict(
    (n, torchfile.Tensor(a)) for n, a in arrays.items()
  )


def save_sharded(path, arrays):
  names = list(arrays)
  parts = {"one.safetensors": names[:2], "two.safetensors": names[2:]}
  for file, own in parts.items():
    part = {n: arrays[n] for n in own}
    safetensors.numpy.save_file(part, path.parent / file)
  where = {n: file for file, own in parts.items() for n in own}
  path.write_text(json.dumps({"weight_map": where}))


SAVERS = {
  "a.safetensors": lambda p, a: safetensors.numpy.save_file(a, p),
  "own.safetensors": lambda p, a: files.write(
    p, {n: (x.shape, x.dtype) for n, x in a.items()}, a.items()
  ),
  "a.npz": lambda p, a: np.savez(p, **a),
  "packed.npz": lambda p, a: np.savez_compressed(p, **a),
  "zip.pth": lambda p, a: torchfile.save_zip(p, torch_dict(a)),
  "plain.bin": lambda p, a: torchfile.save_plain(p, torch_dict(a)),
  "model.safetensors.index.json": save_sharded,
}


def same(found, arrays):
  assert set(found) == set(arrays)
  for name, array in arrays.items():
    assert found.shape(name) == array.shape, name
    got = found[name]
    assert got.dtype == array.dtype, name
    np.testing.assert_array_equal(got, array, name)


@pytest.mark.parametrize("name", SAVERS)
def test_every_format_gives_the_arrays_bit_for_bit(tmp_path, arrays, name):
  SAVERS[name](tmp_path / name, arrays)
  same(files.read(tmp_path / name), arrays)


def test_a_folder_is_read_by_what_is_in_it(tmp_path, arrays):
  save_sharded(tmp_path / "model.safetensors.index.json", arrays)
  same(files.read(tmp_path), arrays)
  SAVERS["a.safetensors"](tmp_path / "model.safetensors", {"x": arrays["b"]})
  assert set(files.read(tmp_path)) == {"x"}


def test_our_writer_is_read_by_the_package(tmp_path, arrays):
  SAVERS["own.safetensors"](tmp_path / "w", arrays)
  back = safetensors.numpy.load_file(tmp_path / "w")
  for name, array in arrays.items():
    np.testing.assert_array_equal(back[name], array, name)


def test_a_refused_pickle_is_an_error_of_the_user(tmp_path):
  path = tmp_path / "evil.pth"
  path.write_bytes(pickle.dumps(os.getcwd, protocol=4))
  with pytest.raises(errors.UserError, match="getcwd") as e:
    files.read(path)
  assert "evil.pth" in str(e.value) and e.value.key == "--weights"


class Evil:
  """Pickles as a call."""

  def __init__(self, call, *arguments):
    self.call = call, arguments

  def __reduce__(self):
    return self.call


def test_a_pickled_array_in_an_npz_is_refused_unrun(tmp_path):
  mark = tmp_path / "mark"
  mark.write_text("")
  evil = np.asarray([Evil(os.remove, str(mark))], object)
  np.savez(tmp_path / "x.npz", good=np.zeros(2), evil=evil)
  with pytest.raises(errors.UserError, match="evil holds pickled"):
    files.read(tmp_path / "x.npz")
  assert mark.exists()


@pytest.mark.parametrize("name", [n for n in SAVERS if "index" not in n])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_cut_file_is_one_clear_error(tmp_path, arrays, name, share):
  path = tmp_path / name
  SAVERS[name](path, arrays)
  whole = path.read_bytes()
  path.write_bytes(whole[: int(len(whole) * share)])
  with pytest.raises(errors.UserError, match=name):
    files.read(path)


@pytest.mark.parametrize("name", ["zip.pth", "a.npz"])
def test_a_flipped_byte_is_seen(tmp_path, arrays, name):
  path = tmp_path / name
  SAVERS[name](path, arrays)
  raw = bytearray(path.read_bytes())
  at = raw.find(arrays["a.weight"].tobytes())
  raw[at] ^= 1
  path.write_bytes(raw)
  with pytest.raises(errors.UserError, match=r"a\.weight"):
    files.read(path)["a.weight"]


@pytest.mark.parametrize(
  "text, seen",
  [
    (b"version https://git-lfs.github.com/spec/v1\n", "version "),
    (b"<html>not found</html>", "<html>"),
  ],
)
def test_what_is_no_weights_is_shown(tmp_path, text, seen):
  (tmp_path / "x.pth").write_bytes(text)
  with pytest.raises(errors.UserError, match=seen):
    files.read(tmp_path / "x.pth")


def test_missing_files_and_parts_are_named(tmp_path, arrays):
  with pytest.raises(errors.UserError, match="no such file"):
    files.read(tmp_path / "none.pth")
  with pytest.raises(errors.UserError, match="no weights in this folder"):
    files.read(tmp_path)
  path = tmp_path / "model.safetensors.index.json"
  save_sharded(path, arrays)
  (tmp_path / "two.safetensors").unlink()
  with pytest.raises(errors.UserError, match="two.safetensors are missing"):
    files.read(path)
  path.write_text(json.dumps({"weight_map": {"a": "../two.safetensors"}}))
  with pytest.raises(errors.UserError, match="not beside it"):
    files.read(path)


def test_an_index_that_names_itself_or_another_is_refused(tmp_path):
  path = tmp_path / "model.safetensors.index.json"
  for part in (path.name, "b.index.json"):
    path.write_text(json.dumps({"weight_map": {"a": part}}))
    (tmp_path / "b.index.json").write_text("{}")
    with pytest.raises(errors.UserError, match="is an index too"):
      files.read(path)


@pytest.mark.parametrize(
  "text",
  ["[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 3}}', "[" * 9**5],
)
def test_an_index_that_is_none_is_refused(tmp_path, text):
  path = tmp_path / "model.safetensors.index.json"
  path.write_text(text)
  with pytest.raises(errors.UserError, match=r"index\.json"):
    files.read(path)
