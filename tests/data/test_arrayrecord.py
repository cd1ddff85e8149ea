"""ArrayRecord files that are damaged, or on a disk that fails."""

import errno
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from array_record.python import array_record_module

from jmim.core import errors
from jmim.data import again
from jmim.data import decode
from jmim.data import pipeline
from jmim.data import sources
from jmim.data import write

_BLOCK = 2**16  # bytes, of which the format has at least one


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  """A data set with one file of 24 pictures, in several blocks."""
  out = tmp_path_factory.mktemp("prepared")
  draw = np.random.default_rng(0).integers
  rows = {
    "image": draw(0, 256, (24, 48, 48, 3), np.uint8),
    "label": np.arange(24) % 3,
  }
  examples = (write.example(rows, i, ("image",)) for i in range(24))
  write.dataset(
    "noise",
    out,
    features={"image": tfds.features.Image(), "label": write.label(3)},
    description="noise",
    splits=lambda: {"train": examples},
  )
  return out


@pytest.fixture
def place(prepared, tmp_path):
  """A copy of it: (data directory, path of its file)."""
  shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
  (path,) = tmp_path.glob("noise/*/*.array_record*")
  return str(tmp_path), path


def _flipped(data, at):
  return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def _records(path: pathlib.Path, *records: bytes):
  writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
  for record in records:
    writer.write(record)
  writer.close()


@pytest.mark.parametrize(
  ("change", "says"),
  [
    (lambda data: b"", "at least 64KB"),
    (lambda data: data[:100], "at least 64KB"),
    (lambda data: data[:_BLOCK], "no record can be read"),
    (lambda data: data[: _BLOCK + 1], "chunk boundary"),
    (lambda data: data[: 2 * _BLOCK], "chunk boundary"),
    (lambda data: data[:-1], "chunk boundary"),
    (lambda data: bytes(len(data)), "rror: "),
  ],
)
def test_a_file_that_is_not_whole_is_named_at_opening(place, change, says):
  root, path = place
  path.write_bytes(change(path.read_bytes()))
  with pytest.raises(errors.UserError, match=says) as caught:
    sources.build("noise", "train[:2]", root)
  assert str(path) in caught.value.seen
  assert caught.value.key == "data.data_dir"


def test_a_file_of_another_length_or_none_is_named_at_opening(place):
  root, path = place
  _records(path, b"x", b"y")
  with pytest.raises(errors.UserError, match="2 records, of 24") as caught:
    sources.build("noise", "train", root)
  assert str(path) in caught.value.seen
  path.unlink()
  with pytest.raises(errors.UserError, match="No such file") as caught:
    sources.build("noise", "train", root)
  assert str(path) in caught.value.seen


def test_a_damaged_record_names_its_file_and_leaves_the_others(place):
  root, path = place
  path.write_bytes(_flipped(path.read_bytes(), _BLOCK + 1000))
  source, bad = sources.build("noise", "train", root), []
  for i in range(24):
    try:
      assert source[i]["image"]
    except decode.BadImage as error:
      bad.append(str(error))
  assert len(bad) == 1 and "hash mismatch" in bad[0] and str(path) in bad[0]
  with pytest.raises(decode.BadImage, match="hash mismatch"):
    source.__getitems__(range(24))
  spec = pipeline.Spec(batch=24, size=48, on_bad_record="skip")
  batch = next(pipeline.evaluation_batches(source, spec))
  assert batch["valid"].sum() == 23


def test_a_file_that_is_not_whole_is_left_out_if_that_is_allowed(place, caplog):
  root, path = place
  info = path.parent / "dataset_info.json"
  content = json.loads(info.read_text())
  content["splits"][0]["shardLengths"] = ["24"] * 3
  info.write_text(json.dumps(content))
  name = path.name.removesuffix("00000-of-00001")
  first, cut, last = (path.with_name(f"{name}0000{i}-of-00003") for i in "012")
  cut.write_bytes(path.read_bytes()[:-1])
  shutil.copyfile(path, first)
  path.rename(last)
  open_it = lambda split, share: sources.build(
    "noise", split, root, max_bad_shards=share
  )
  with pytest.raises(errors.UserError, match=cut.name):
    open_it("train", 0.0)
  with pytest.raises(errors.UserError, match="1 of 3 shards"):
    open_it("train", 0.3)
  source = open_it("train", 0.34)
  assert len(source) == 48 and cut.name in caplog.text
  labels = [source[i]["label"] for i in range(48)]
  assert labels[:24] == labels[24:]
  assert len({*source.places().tolist()}) == 48
  assert [e["label"] for e in source.__getitems__([0, 30])] == [
    labels[0],
    labels[30],
  ]
  assert len(open_it("train[50:]", 0.5)) == 22  # of the last alone


def test_an_empty_record_is_none(place):
  root, path = place
  _records(path, *[b""] * 24)
  source = sources.build("noise", "train", root)
  with pytest.raises(decode.BadImage, match="empty") as caught:
    source[3]
  assert str(path) in str(caught.value)
  with pytest.raises(decode.BadImage, match="empty"):
    source.__getitems__([3, 4])


def test_what_the_disk_says_is_an_error_of_the_disk(place):
  # Texts of the real reader: of a folder in the place of the file.
  root, path = place
  source = sources.build("noise", "train", root)
  aside = path.rename(path.with_suffix(".aside"))
  path.mkdir()
  for read in (lambda: source[0], lambda: source.__getitems__([0, 1])):
    with pytest.raises(OSError, match="Is a directory") as caught:
      read()
    assert caught.value.errno == errno.EISDIR
  path.rmdir()
  with pytest.raises(FileNotFoundError):
    source[0]
  # The reader that failed is not asked again.
  aside.rename(path)
  assert source[0]["image"] and len(source.__getitems__([0, 1])) == 2


class _Failing:
  """A reader whose disk fails, in the words of the one in C++.

  Attributes:
    number: of the error.
    left: times it fails.
  """

  number, left = errno.EIO, 0

  def __init__(self, *args, **kwargs):
    self._reader = _READER(*args, **kwargs)
    self._broken = type(self).left > 0
    self.close = self._reader.close
    self.num_records = self._reader.num_records
    self.writer_options_string = self._reader.writer_options_string

  def ok(self):
    return not self._broken

  def read(self, positions):
    if self._broken:  # and stays so, as the real one does
      type(self).left -= 1
      said = f"read() failed: {os.strerror(self.number)}; reading x; at byte 9"
      raise RuntimeError(said)
    return self._reader.read(positions)


_READER = array_record_module.ArrayRecordReader


@pytest.fixture
def slept(monkeypatch):
  found = []
  monkeypatch.setattr(array_record_module, "ArrayRecordReader", _Failing)
  monkeypatch.setattr(again.time, "sleep", found.append)
  yield found
  _Failing.left = 0


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_what_passes_is_tried_again(place, slept, monkeypatch, number):
  monkeypatch.setattr(_Failing, "number", number)
  root, path = place
  _Failing.left = 2
  source = sources.build("noise", "train", root)
  assert slept == [*again.PAUSES[:2]]
  _Failing.left = 3
  spec = pipeline.Spec(batch=24, size=48, threads=0)
  batch = next(pipeline.evaluation_batches(source, spec))
  assert batch["valid"].all() and _Failing.left == 0
  _Failing.left = 9
  with pytest.raises(errors.UserError, match=os.strerror(number)) as caught:
    sources.build("noise", "train", root)
  assert str(path) in caught.value.seen
