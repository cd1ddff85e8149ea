import errno
import itertools
import json
import os
import pathlib
import struct

import numpy as np
import pytest

from jmim.core import crc32c
from jmim.core import errors
from jmim.data import pipeline
from jmim.data import sources
from jmim.data import splits

_COMMAND = "tfds build {} --data_dir={} --file_format=array_record"


def test_cifar10_sizes_slices_and_labels(tfds_dir):
  train = sources.build("cifar10", "train", tfds_dir)
  assert len(train) == 50000 and train.num_classes == 10
  part = sources.build("cifar10:3.0.2", "train[90%:]", tfds_dir)
  assert len(part) == 5000
  for i in (0, 4999):
    assert part[i]["image"] == train[45000 + i]["image"]
  assert train[0]["image"][:2] == b"\xff\xd8"  # JPEG, not yet decoded
  many = train.__getitems__([7, 49999, 7])
  assert [e["image"] for e in many] == [
    train[i]["image"] for i in (7, 49999, 7)
  ]
  assert train.name(7) == "cifar10/3.0.2 train, example 7"


@pytest.mark.parametrize(
  ("split", "count"),
  [("test", 10000), pytest.param("train", 50000, marks=pytest.mark.slow)],
)
def test_cifar10_reads_whole(tfds_dir, split, count):
  source = sources.build("cifar10", split, tfds_dir)
  spec = pipeline.Spec(batch=768, size=32)
  seen, labels, total = [], [], np.zeros(3)
  for batch in pipeline.evaluation_batches(source, spec):
    seen.append(batch["index"][batch["valid"]])
    labels.append(batch["label"][batch["valid"]])
    total += batch["image"][batch["valid"]].sum((0, 1, 2))
  np.testing.assert_array_equal(np.concatenate(seen), np.arange(count))
  # Balanced by construction; the channel means are known, to 2 %.
  assert (np.bincount(np.concatenate(labels)) == count // 10).all()
  mean = total / count / 32**2 / 255
  np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], rtol=0.02)


@pytest.mark.slow
def test_an_epoch_of_cifar10_visits_each_image_once(tfds_dir):
  source = sources.build("cifar10", "train", tfds_dir)
  stream = pipeline.training_batches(
    source, pipeline.Spec(batch=500, size=32, seed=7)
  )
  epochs = []
  for _ in range(2):
    batches = list(itertools.islice(stream, 100))
    epochs.append(np.concatenate([batch["index"] for batch in batches]))
    labels = np.concatenate([batch["label"] for batch in batches])
    assert (np.bincount(labels) == 5000).all()
  stream.close()
  for index in epochs:
    np.testing.assert_array_equal(np.sort(index), np.arange(50_000))
  assert (epochs[0] != epochs[1]).mean() > 0.99


def _error(*args):
  with pytest.raises(errors.UserError) as caught:
    sources.build(*args)
  return caught.value


def test_unknown_names_are_answered_with_the_nearest(tmp_path):
  (tmp_path / "my_birds").mkdir()
  error = _error("my_bird", "train", str(tmp_path))
  assert error.key == "data.name" and "my_birds" in error.expected
  error = _error("digit", "train", str(tmp_path))
  assert error.key == "data.name" and "digits" in error.expected
  error = _error("cifar01", "train", str(tmp_path))
  assert error.key == "data.name" and "cifar10" in error.expected
  error = _error("no such thing", "train", str(tmp_path))
  assert error.key == "data.name"
  assert {"folder,", "digits,", "shapes,"} <= set(error.expected.split())


def test_known_but_unprepared_says_where_it_looked(tmp_path):
  for path in (tmp_path, tmp_path / "absent"):
    error = _error("mnist", "train", str(path))
    assert error.key == "data.data_dir" and str(path) in error.seen
    assert _COMMAND.format("mnist", path) in error.fix
  assert "no such folder" in error.seen


def test_an_absent_version_lists_those_present(tfds_dir):
  error = _error("cifar10:3.0.1", "train", tfds_dir)
  assert error.key == "data.data_dir" and "cifar10/3.0.2" in error.expected
  assert _COMMAND.format("cifar10:3.0.1", tfds_dir) in error.fix


@pytest.mark.parametrize(
  "split", ["trian", "", "train[:0%]", "train[80%:20%]", "train[:8"]
)
def test_bad_splits_list_the_good_ones(tfds_dir, split):
  error = _error("cifar10", split, tfds_dir)
  assert error.key == "data.train_split"
  assert repr(split) in error.seen and "train, test" in error.expected


def _copy(tfds_dir, tmp_path, file_format, lengths=None):
  """Info and features of CIFAR-10 in a directory of another format."""
  there = pathlib.Path(tfds_dir) / "cifar10/3.0.2"
  here = tmp_path / "cifar10/3.0.2"
  here.mkdir(parents=True)
  info = json.loads((there / "dataset_info.json").read_text())
  info["fileFormat"] = file_format
  for split in info["splits"]:
    split["shardLengths"] = lengths or split["shardLengths"]
    split["filepathTemplate"] = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
  (here / "dataset_info.json").write_text(json.dumps(info))
  (here / "features.json").write_bytes((there / "features.json").read_bytes())
  return here


def test_formats_without_random_access(tfds_dir, tmp_path):
  here = _copy(tfds_dir, tmp_path, "riegeli")
  error = _error("cifar10", "train", str(tmp_path))
  assert error.key == "data.data_dir" and str(here) in error.seen
  assert _COMMAND.format("cifar10", tmp_path) in error.fix


def _record(image, label):
  """A TFRecord of a tf.train.Example of short values, written by hand."""

  def field(number, data):
    return bytes([number << 3 | 2, len(data)]) + data

  entry = lambda key, value: field(1, field(1, key) + field(2, value))
  features = entry(b"image", field(1, field(1, image)))
  features += entry(b"label", field(3, field(1, bytes([label]))))
  data = field(1, features)
  length = struct.pack("<Q", len(data))
  checksum = lambda x: struct.pack("<I", crc32c.masked(x))
  return length + checksum(length) + data + checksum(data)


def test_tfrecords_are_read_without_tensorflow(tfds_dir, tmp_path, monkeypatch):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  here = _copy(tfds_dir, tmp_path, "tfrecord", ["3", "2"])
  error = _error("cifar10", "train", str(tmp_path))
  assert (
    error.key == "data.data_dir" and "tfrecord-00000-of-00002" in error.seen
  )
  for shard, labels in ((0, (0, 1, 2)), (1, (3, 4))):
    path = here / f"cifar10-train.tfrecord-{shard:05}-of-00002"
    path.write_bytes(b"".join(_record(b"x" * n, n) for n in labels))
  source = sources.build("cifar10", "train", str(tmp_path))
  assert len(source) == 5 and source.num_classes == 10
  assert source[4] == {"image": b"xxxx", "label": 4}
  part = sources.build("cifar10", "train[40%:]", str(tmp_path))
  assert [part[i]["label"] for i in range(3)] == [2, 3, 4]


def test_slices_that_overlap_and_names_of_classes(digits_dir):
  one, other, test = (
    sources.build("digits/plain", split, digits_dir)
    for split in ("train[:100]", "train[90:200]", "test")
  )
  assert splits.common(one, other) == 10 and splits.common(one, test) == 0
  assert one.classes == tuple("0123456789")


def fail(folder):
  """Has what is read from the open files of a folder end in EIO."""
  bad = os.open("/proc/self/mem", os.O_RDONLY)  # nothing lies at its begin
  for path in pathlib.Path("/proc/self/fd").iterdir():
    if path.exists() and folder in os.readlink(path):
      os.dup2(bad, int(path.name))
  os.close(bad)


@pytest.mark.skipif(
  not pathlib.Path("/proc/self/mem").exists(), reason="no Linux"
)
def test_an_error_of_the_disk_that_passes_is_no_damage(digits_dir):
  source = sources.build("digits/plain", "test", digits_dir)
  whole = source[7]["image"]
  for read in (lambda: source[7], lambda: source.__getitems__([7, 8])[0]):
    fail(digits_dir)
    with pytest.raises(OSError, match="Input/output error") as caught:
      read()
    assert caught.value.errno == errno.EIO
    assert digits_dir in caught.value.filename
    assert read()["image"] == whole  # as its file is opened anew


def test_a_file_that_is_away_for_a_while(digits_dir):
  source = sources.build("digits/plain", "test", digits_dir)
  path = pathlib.Path(source._files[0][0])
  away = path.rename(path.with_suffix(".away"))
  with pytest.raises(FileNotFoundError):
    source[0]
  away.rename(path)
  assert source[0]["image"]
