"""Indices that are kept, and what makes them anew."""

import os

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

  def full(path, **arrays):
    path.write_bytes(b"half")
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(np, "savez", full)
  assert _load(tmp_path / "cache", made, str(file)) == 3
  assert not list((tmp_path / "cache").iterdir())
  assert "No space left" in caplog.text
