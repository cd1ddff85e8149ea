"""TFRecord files, read at any place without TensorFlow."""

import struct

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from jmim.core import crc32c
from jmim.core import errors
from jmim.data import formats
from jmim.data import splits
from jmim.data import tfrecord


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


def _named(feature):
  """An example with a feature "x"."""
  return _field(1, _field(1, _field(1, b"x") + _field(2, feature)))


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


def record(data):
  """A record as TensorFlow writes it."""
  length = struct.pack("<Q", len(data))
  checksum = lambda x: struct.pack("<I", crc32c.masked(x))
  return length + checksum(length) + data + checksum(data)


def _write(path, examples):
  with open(path, "wb") as file:
    for features in examples:
      data = _example(features)
      file.write(record(data))


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
  again = tfrecord.TfRecordSource(
    [(paths[1], 6, 3)], "some/1.0.0", 20, tmp_path / "index"
  )
  assert splits.common(source, again) == 1  # record 6 of the second file
  cut = tmp_path / "cut.tfrecord"
  cut.write_bytes((tmp_path / "0.tfrecord").read_bytes()[:-3])
  with pytest.raises(errors.UserError, match="within record 9"):
    tfrecord.offsets(str(cut))


@pytest.fixture
def one(tmp_path):
  """A file of three records; opens it as a source."""
  path = tmp_path / "x.tfrecord"
  _write(path, [{"image": [b"x" * 90], "label": [i]} for i in (3, 4, 5)])
  parts = [(str(path), 0, -1)]
  return path, lambda: tfrecord.TfRecordSource(
    parts, "some", 10, tmp_path / "i"
  )


def test_a_file_that_is_not_whole_is_left_out_if_that_is_allowed(
  tmp_path, caplog
):
  paths = [tmp_path / f"{i}.tfrecord" for i in range(3)]
  for i, path in enumerate(paths):
    _write(path, [{"label": [10 * i + j]} for j in range(4)])
  paths[1].write_bytes(paths[1].read_bytes()[:-3])
  open_it = lambda share, skip=0: tfrecord.TfRecordSource(
    [(str(path), skip, -1) for path in paths],
    "some",
    30,
    tmp_path / "index",
    max_bad_shards=share,
  )
  with pytest.raises(errors.UserError, match="1.tfrecord ends within record 3"):
    open_it(0.0)
  with pytest.raises(errors.UserError, match="1 of 3 shards"):
    open_it(0.3)
  source = open_it(0.34)
  assert "left out" in caplog.text and "1.tfrecord" in caplog.text
  labels = [source[i]["label"] for i in range(len(source))]
  assert labels == [*range(4), *range(20, 24)]
  assert len({*source.places().tolist()}) == 8
  assert [open_it(0.34, skip=3)[i]["label"] for i in range(2)] == [3, 23]


def test_a_flipped_bit_is_no_other_label(one):
  path, build = one
  source, whole = build(), path.read_bytes()
  assert [source[i]["label"] for i in range(3)] == [3, 4, 5]
  start, end = (int(x) for x in tfrecord.offsets(str(path))[1:3])
  for at in range(start + 12, end):  # of the second record, but its length
    data = bytearray(whole)
    data[at] ^= 4
    path.write_bytes(data)
    with pytest.raises(formats.BadImage, match="its checksum"):
      _ = source[1]
  assert source[0]["label"] == 3 and source[2]["label"] == 5


def test_a_wrong_length_is_found_before_anything_is_read(one):
  path, build = one
  data = bytearray(path.read_bytes())
  data[2] ^= 1
  path.write_bytes(data)
  with pytest.raises(errors.UserError, match="record 0, at byte 0"):
    build()


@pytest.mark.parametrize(
  "data",
  [
    b"\x80" * 10**6,  # a number without end
    b"\x0a\xff\x01a",  # a field that is longer than the rest
    b"\x0f",  # a wire type that there is not
    b"\x08\x01",  # a number in the place of the features
    _field(1, _field(1, b"\x08" + _varint(2**40))),  # of a name
    _named(_field(1, b"\x08\xff\x7f")),
    _field(1, _field(1, _field(1, b"\xff"))),
    _named(_field(2, b"\x0a\x01a")),
  ],
  ids=range(8),
)
def test_what_is_no_example_is_a_bad_record(tmp_path, data):
  path = tmp_path / "x.tfrecord"
  path.write_bytes(record(data))
  parts = [(str(path), 0, -1)]
  source = tfrecord.TfRecordSource(parts, "some", 10, tmp_path / "i")
  with pytest.raises(formats.BadImage, match="no tf.train.Example"):
    _ = source[0]
