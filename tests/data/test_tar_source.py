"""Shards of WebDataset, read at any place."""

import io
import json
import logging
import tarfile
import threading

import pytest

from jmim.core import errors
from jmim.data import sources
from jmim.data import splits
from jmim.data import tar_index
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

  monkeypatch.setattr(tar_index, "read", never)
  assert len(tar_source.TarSource(str(shards), "train", cache)) == 12
  with tarfile.open(shards / "train-003.tar", "w") as tar:
    _add(tar, "new.jpg", b"new")
  with pytest.raises(AssertionError):
    tar_source.TarSource(str(shards), "train", cache)


def test_a_pass_that_ends_before_its_time_goes_on(
  shards, tmp_path, monkeypatch
):
  cache, read, real = tmp_path / "index", [], tar_index.read
  others = threading.Barrier(3, timeout=60)

  def killed(path):
    others.wait()
    if path.endswith("-001.tar"):
      raise KeyboardInterrupt
    read.append(path)
    return real(path)

  monkeypatch.setattr(tar_index, "read", killed)
  with pytest.raises(KeyboardInterrupt):
    tar_source.TarSource(str(shards), "train", cache)
  before = {*read}
  assert {path[-7:] for path in before} == {"000.tar", "002.tar"}
  monkeypatch.setattr(tar_index, "read", lambda p: read.append(p) or real(p))
  found = tar_source.TarSource(str(shards), "train", cache)
  assert len(read) == 3 and {*read} - before == {found.name(5).split(",")[0]}
  assert [found[i]["label"] for i in range(12)] == [*range(12)]
  fresh = tar_source.TarSource(str(shards), "train", tmp_path / "other")
  assert [fresh[i] for i in range(12)] == [found[i] for i in range(12)]
  assert len([*cache.iterdir()]) == 1  # of the shards alone nothing is left


def test_a_shard_that_is_not_whole_is_left_out_if_that_is_allowed(
  shards, tmp_path, caplog
):
  path = shards / "train-001.tar"
  path.write_bytes(path.read_bytes()[:1000])
  open_it = lambda share: tar_source.TarSource(
    str(shards), "train", tmp_path / "index", max_bad_shards=share
  )
  with pytest.raises(errors.UserError, match=r"train-001.tar: .*after"):
    open_it(0.0)
  with pytest.raises(errors.UserError, match="1 of 3 shards .*train-001.tar"):
    open_it(0.3)
  for _ in range(2):  # the second is of the index that was kept
    caplog.clear()
    source = open_it(0.34)
    assert [source[i]["label"] for i in range(len(source))] == [
      *range(4),
      *range(8, 12),
    ]
    assert "train-002.tar" in source.name(4)
    assert len(set(source.places().tolist())) == 8
    assert "left out" in caplog.text and "train-001.tar" in caplog.text
  with pytest.raises(errors.UserError, match="train-001.tar: .*after"):
    open_it(0.0)


def test_an_index_lies_where_it_is_asked_for(shards, tmp_path):
  index = tmp_path / "run/index"
  sources.build("tar", "train", str(shards), index=index)
  assert [p.suffix for p in index.iterdir()] == [".npz"]
  for name, found in {
    "tar": True,
    "cifar10:3.0.2": True,
    "text/byte:8": False,
    "folder": False,
    "my_lab.data": False,
  }.items():
    assert sources.has_index(name) == found, name


def test_no_shards_and_no_images(shards, tmp_path):
  with pytest.raises(errors.UserError) as caught:
    tar_source.TarSource(str(shards), "test", tmp_path)
  assert caught.value.key == "data.train_split"
  with tarfile.open(shards / "other-0.tar", "w") as tar:
    _add(tar, "a.txt", b"x")
  with pytest.raises(errors.UserError) as caught:
    tar_source.TarSource(str(shards), "other", tmp_path)
  assert caught.value.key == "data.data_dir"


def _shard(path, labels, kind="cls"):
  path.parent.mkdir(exist_ok=True)
  with tarfile.open(path, "w") as tar:
    for i, label in enumerate(labels):
      _add(tar, f"{i:03}.png", f"{path.name} {i}".encode())
      if label is not None:
        _add(tar, f"{i:03}.{kind}", label.encode())


def _labels(source):
  return [source[i]["label"] for i in range(len(source))]


def test_one_image_without_a_label_leaves_the_others_theirs(tmp_path, caplog):
  _shard(tmp_path / "d/train-0.tar", ["2", None, "0", "1", ""])
  with caplog.at_level(logging.WARNING):
    source = tar_source.TarSource(str(tmp_path / "d"), "train", tmp_path / "i")
  (said,) = caplog.messages
  assert "2 of 5 images have no label" in said and source.name(1) in said
  assert source.num_classes == 3 and _labels(source) == [2, -1, 0, 1, -1]
  assert source.labels().tolist() == [2, -1, 0, 1, -1]


def test_names_of_classes_are_numbered_as_in_the_training_shards(
  tmp_path, monkeypatch
):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  folder = tmp_path / "d"
  _shard(folder / "train-0.tar", ["emu", "cat"])
  _shard(folder / "train-1.tar", ["dog\n", "cat"])
  _shard(folder / "test-0.tar", ["emu", "dog"])
  _shard(folder / "odd-0.tar", ["ant", "dog"])
  _shard(folder / "mixed-0.tar", ["1", "dog"])
  open_ = lambda split, **how: sources.build("tar", split, str(folder), **how)
  train = open_("train")
  assert train.classes == ("cat", "dog", "emu") and train.num_classes == 3
  assert _labels(train) == [2, 0, 1, 0]
  test = open_("test")
  assert test.classes == train.classes and _labels(test) == [2, 1]
  assert _labels(open_("odd", trained_on=True)) == [0, 1]
  for wrong, how in (("odd", {}), ("mixed", {"trained_on": True})):
    with pytest.raises(errors.UserError, match="ant|'1' and 'dog'"):
      open_(wrong, **how)
  assert splits.common(train, open_("train-1")) == 2
  assert _labels(open_("train[1:3]")) == [0, 1]


def test_all_labels_of_minus_one_are_none(tmp_path):
  _shard(tmp_path / "d/train-0.tar", ["-1", "-1"])
  source = tar_source.TarSource(str(tmp_path / "d"), "train", tmp_path / "i")
  assert source.num_classes is None and "label" not in source[0]


@pytest.mark.parametrize("label", ["-2", "2147483647", "9" * 30])
def test_numbers_that_are_no_labels_are_told(tmp_path, label):
  _shard(tmp_path / "d/train-0.tar", ["1", label])
  with pytest.raises(errors.UserError, match=label):
    tar_source.TarSource(str(tmp_path / "d"), "train", tmp_path / "i")


def test_pictures_of_other_formats_are_counted(tmp_path, caplog):
  with tarfile.open(tmp_path / "train-0.tar", "w") as tar:
    for name in ("a.png", "b.heic", "c.avif", "d.heic", "e.txt"):
      _add(tar, name, b"x")
  with caplog.at_level(logging.WARNING):
    tar_source.TarSource(str(tmp_path), "train", tmp_path / "i")
  assert "1 .avif, 2 .heic" in caplog.text and "txt" not in caplog.text
