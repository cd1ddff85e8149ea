"""Indices that are kept, and what makes them anew."""

import os
import pathlib
import pickle
import threading

import numpy as np
import pytest

from jmim.data import index_cache


@pytest.fixture
def made():
  return []


def _load(cache, made, *files):
  def make():
    made.append(len(made))
    return {"n": np.array([len(made)])}

  return int(index_cache.load(cache, "x", files, make)["n"][0])


def test_an_index_is_made_again_if_a_file_changed(tmp_path, made):
  file, cache = tmp_path / "a.tar", tmp_path / "cache"
  file.write_bytes(b"1")
  assert [_load(cache, made, str(file)) for _ in range(3)] == [1, 1, 1]
  file.write_bytes(b"12")
  assert _load(cache, made, str(file)) == 2
  os.utime(file, (1, 1))
  assert _load(cache, made, str(file)) == 3
  assert len(list(cache.iterdir())) == 3  # and no scratch


@pytest.mark.parametrize("n", [10, 2**17 + 3])
def test_large_arrays_are_mapped_and_what_they_were(tmp_path, n):
  file = tmp_path / "a.tar"
  file.write_bytes(b"1")
  rng = np.random.default_rng(0)
  arrays = {
    "long": rng.integers(0, 2**60, n),
    "short": rng.integers(0, 99, n, np.int32),
    "names": np.array(["a", "Ünï"] * 5),
    "text": np.array("left"),
    "none": np.zeros(0, np.int64),
  }
  load = lambda: index_cache.load(
    tmp_path / "cache", "x", [str(file)], lambda: arrays
  )
  for found in (load(), load()):
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
      np.testing.assert_array_equal(found[name], array)
      assert found[name].dtype == array.dtype
    assert isinstance(found["long"], np.memmap) == (n > 10)
    assert str(found["text"]) == "left"
  sent = pickle.dumps(found["long"])
  assert n == 10 or len(sent) < 1000  # its place, not its numbers
  np.testing.assert_array_equal(pickle.loads(sent), arrays["long"])
  part = pickle.loads(pickle.dumps(found["long"][3:7]))
  np.testing.assert_array_equal(part, arrays["long"][3:7])


def test_a_damaged_index_is_made_anew(tmp_path, made, caplog):
  file, cache = tmp_path / "a.tar", tmp_path / "cache"
  file.write_bytes(b"1")
  assert _load(cache, made, str(file)) == 1
  (path,) = cache.iterdir()
  for data in (path.read_bytes()[:100], b"", b"PK\x03\x04"):
    path.write_bytes(data)
    before = len(made)
    assert _load(cache, made, str(file)) == before + 1 == len(made)
  assert "made anew" in caplog.text
  assert _load(cache, made, str(file)) == len(made)


def test_an_index_that_others_may_have_mapped_is_not_replaced(tmp_path, made):
  file, cache = tmp_path / "a.tar", tmp_path / "cache"
  file.write_bytes(b"1")
  late = lambda: {"n": np.array([_load(cache, made, str(file))])}
  assert index_cache.load(cache, "x", [str(file)], late)["n"] == 1
  (path,) = cache.iterdir()
  before = path.stat().st_ino
  path.rename(tmp_path / "kept")

  def slow():
    (tmp_path / "kept").rename(path)  # another process was first
    return {"n": np.array([1])}

  assert index_cache.load(cache, "x", [str(file)], slow)["n"] == 1
  assert path.stat().st_ino == before
  assert [p.name for p in cache.iterdir()] == [path.name]


def test_states_of_files_are_asked_for_together(tmp_path, made, monkeypatch):
  files = [str(tmp_path / f"{i}.tar") for i in range(4)]
  for path in files:
    pathlib.Path(path).write_bytes(b"1")
  own, meet = index_cache.state, threading.Barrier(4, timeout=30)

  def state(path):
    meet.wait()  # one alone would wait for ever
    return own(path)

  monkeypatch.setattr(index_cache, "state", state)
  _load(tmp_path / "cache", made, *files)
  _load(tmp_path / "cache", made, *files)
  assert len(made) == 1


def test_the_same_relative_path_of_two_folders_is_two_files(
  tmp_path, made, monkeypatch
):
  for name in ("a", "b"):
    (tmp_path / name).mkdir()
    (tmp_path / name / "x.tar").write_bytes(b"1")
    os.utime(tmp_path / name / "x.tar", (1, 1))
    monkeypatch.chdir(tmp_path / name)
    _load(tmp_path / "cache", made, "x.tar")
  assert len(made) == 2


def test_a_cache_that_cannot_be_written_stops_nothing(
  tmp_path, made, caplog, monkeypatch
):
  file = tmp_path / "a.tar"
  file.write_bytes(b"1")
  nowhere = tmp_path / "a.tar" / "cache"
  assert [_load(nowhere, made, str(file)) for _ in range(2)] == [1, 2]

  def full(scratch, **arrays):
    scratch.write(b"half")
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(np, "savez", full)
  assert _load(tmp_path / "cache", made, str(file)) == 3
  assert not list((tmp_path / "cache").iterdir())
  assert "No space left" in caplog.text


def test_an_index_has_its_name_once_it_is_on_the_disk(
  tmp_path, made, monkeypatch
):
  """A machine that loses power would show zeros, which are places too."""
  done, fsync, link = [], os.fsync, os.link
  monkeypatch.setattr(os, "fsync", lambda n: (done.append("disk"), fsync(n)))
  monkeypatch.setattr(os, "link", lambda *x: (done.append("name"), link(*x)))
  file = tmp_path / "a.tar"
  file.write_bytes(b"1")
  _load(tmp_path / "cache", made, str(file))
  assert done == ["disk", "name"]
