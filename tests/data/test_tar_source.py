"""Shards of WebDataset, read at any place."""

import io
import json
import tarfile

import pytest

from jmim.core import errors
from jmim.data import tar_source


def _add(tar, name, data):
  info = tarfile.TarInfo(name)
  info.size = len(data)
  tar.addfile(info, io.BytesIO(data))


@pytest.fixture
def shards(tmp_path):
  folder = tmp_path / "shards"
  folder.mkdir()
  for shard in range(3):
    with tarfile.open(folder / f"train-{shard:03}.tar", "w") as tar:
      for i in range(4):
        label = 4 * shard + i
        _add(tar, f"a/{i:02}.jpg", f"image {label}".encode() * (i + 1))
        if i % 2:
          _add(tar, f"a/{i:02}.json", json.dumps({"label": label}).encode())
        else:
          _add(tar, f"a/{i:02}.cls", str(label).encode())
        _add(tar, f"a/{i:02}.txt", b"a caption")
  with tarfile.open(folder / "val-000.tar", "w") as tar:
    _add(tar, "0.seg.png", b"no image of its own")
    _add(tar, "0.PNG", b"image")
  return folder


def test_tar_shards_in_any_order(shards, tmp_path):
  source = tar_source.TarSource(str(shards), "train", tmp_path / "index")
  assert len(source) == 12 and source.num_classes == 12
  for i in (11, 0, 5, 5):
    expected = f"image {i}".encode() * (i % 4 + 1)
    assert source[i] == {"image": expected, "label": i}
  assert "train-001.tar" in source.name(5)
  val = tar_source.TarSource(str(shards), "val", tmp_path / "index")
  assert val.num_classes is None and val[0] == {"image": b"image"}


def test_tar_shards_are_indexed_once(shards, tmp_path, monkeypatch):
  cache = tmp_path / "index"
  tar_source.TarSource(str(shards), "train", cache)

  def never(*args):
    raise AssertionError("read again")

  monkeypatch.setattr(tar_source, "_index_one", never)
  assert len(tar_source.TarSource(str(shards), "train", cache)) == 12
  with tarfile.open(shards / "train-003.tar", "w") as tar:
    _add(tar, "new.jpg", b"new")
  with pytest.raises(AssertionError):
    tar_source.TarSource(str(shards), "train", cache)


def test_no_shards_and_no_images(shards, tmp_path):
  with pytest.raises(errors.UserError) as caught:
    tar_source.TarSource(str(shards), "test", tmp_path)
  assert caught.value.key == "data.train_split"
  with tarfile.open(shards / "other-0.tar", "w") as tar:
    _add(tar, "a.txt", b"x")
  with pytest.raises(errors.UserError) as caught:
    tar_source.TarSource(str(shards), "other", tmp_path)
  assert caught.value.key == "data.data_dir"
