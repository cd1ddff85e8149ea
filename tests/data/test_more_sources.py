"""Tar shards, TFRecord files, npz arrays, mixtures, the cache."""

import io
import itertools
import json
import struct
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from jmim.core import errors
from jmim.data import combine
from jmim.data import pipeline
from jmim.data import sources
from jmim.data import tar_source
from jmim.data import tfrecord


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


# tf.train.Example, written by hand: the format of protocol buffers.


def _varint(n):
  out = b""
  n &= 2**64 - 1
  while n >= 128:
    out += bytes([n & 127 | 128])
    n >>= 7
  return out + bytes([n])


def _field(number, data):
  return _varint(number << 3 | 2) + _varint(len(data)) + data


def _feature(value):
  if isinstance(value[0], bytes):
    return _field(1, b"".join(_field(1, v) for v in value))
  if isinstance(value[0], float):
    return _field(2, _field(1, struct.pack(f"<{len(value)}f", *value)))
  return _field(3, _field(1, b"".join(map(_varint, value))))


def _example(features):
  entries = [
    _field(1, _field(1, name.encode()) + _field(2, _feature(value)))
    for name, value in features.items()
  ]
  return _field(1, b"".join(entries))


_INTS = st.integers(-(2**63), 2**63 - 1)
_LISTS = (
  st.lists(st.binary(max_size=300), min_size=1, max_size=3)
  | st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=3)
  | st.lists(_INTS, min_size=1, max_size=5)
)


@given(st.dictionaries(st.text(max_size=8), _LISTS, max_size=4))
@settings(deadline=None)
def test_examples_are_parsed(features):
  assert tfrecord.parse_example(_example(features)) == features


def test_unpacked_integers_are_parsed():
  value = _field(
    3, _varint(1 << 3) + _varint(7) + _varint(1 << 3) + _varint(-2)
  )
  entry = _field(1, _field(1, b"x") + _field(2, value))
  assert tfrecord.parse_example(_field(1, entry)) == {"x": [7, -2]}


def _write(path, examples):
  with open(path, "wb") as file:
    for features in examples:
      data = _example(features)
      file.write(struct.pack("<QI", len(data), 0) + data + bytes(4))


def test_tfrecords_in_any_order(tmp_path):
  for shard in range(2):
    rows = [
      {"image": [b"x" * (10 * shard + i)], "label": [10 * shard + i]}
      for i in range(10)
    ]
    _write(tmp_path / f"{shard}.tfrecord", rows)
  paths = [str(tmp_path / f"{i}.tfrecord") for i in range(2)]
  parts = [(paths[0], 0, -1), (paths[1], 2, 5)]
  source = tfrecord.TfRecordSource(parts, "some/1.0.0", 20, tmp_path / "index")
  assert len(source) == 15
  wanted = [*range(10), *range(12, 17)]
  for i in (14, 0, 9, 10):
    assert source[i] == {"image": b"x" * wanted[i], "label": wanted[i]}
  assert "1.tfrecord" in source.name(12)
  cut = tmp_path / "cut.tfrecord"
  cut.write_bytes((tmp_path / "0.tfrecord").read_bytes()[:-3])
  with pytest.raises(errors.UserError, match="within record 9"):
    tfrecord.offsets(str(cut))


def test_npz_files(tmp_path):
  images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
  np.savez(tmp_path / "train.npz", image=images, label=[3, 1])
  source = sources.build("array", "train", str(tmp_path))
  assert source.num_classes == 4
  np.testing.assert_array_equal(source[1]["image"], images[1])
  with pytest.raises(errors.UserError) as caught:
    sources.build("array", "test", str(tmp_path))
  assert caught.value.key == "data.train_split"


class _Slow(sources.ArraySource):
  reads = 0

  def __getitem__(self, i):
    self.reads += 1
    return super().__getitem__(i)


def test_the_cache_reads_once_and_keeps_to_its_bound():
  source = _Slow({"image": [b"x" * 100] * 10})
  cached = combine.Cached(source, 450)
  for _ in range(3):
    for i in range(10):
      assert cached[i] == {"image": b"x" * 100}
  assert source.reads == 4 + 3 * 6
  assert cached.name(3) == source.name(3) and len(cached) == 10


def test_a_mixture_trains_on_its_parts_by_weight():
  parts = [
    sources.ArraySource(
      {"image": np.full((n, 8, 8, 3), value, np.uint8), "label": np.arange(n)}
    )
    for n, value in ((5, 10), (40, 200))
  ]
  mixture = combine.Mixture(parts, (1, 3))
  assert mixture.num_classes is None
  spec = pipeline.Spec(batch=100, size=8, threads=0)
  stream = pipeline.train(mixture, spec)
  batches = list(itertools.islice(stream, 100))
  stream.close()
  values = np.concatenate([b["image"][:, 0, 0, 0] for b in batches])
  index = np.concatenate([b["index"] for b in batches])
  assert (values == 10).sum() == 2500
  np.testing.assert_array_equal(values == 10, index < 5)
  assert "label" not in batches[0]


def test_synthetic_images_decode_and_differ():
  source = sources.build("synthetic", "train")
  assert len(source) == 512 and source.num_classes == 10
  spec = pipeline.Spec(batch=4, size=256, threads=0)
  (batch, *_) = pipeline.evaluate(source, spec, limit=4)
  flat = batch["image"].reshape(4, -1)
  assert len(np.unique(flat, axis=0)) == 4 and flat.std(1).min() > 20
