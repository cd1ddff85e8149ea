"""TFRecord files, read at any place without TensorFlow."""

import struct

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from jmim.core import errors
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
  again = tfrecord.TfRecordSource(
    [(paths[1], 6, 3)], "some/1.0.0", 20, tmp_path / "index"
  )
  assert splits.common(source, again) == 1  # record 6 of the second file
  cut = tmp_path / "cut.tfrecord"
  cut.write_bytes((tmp_path / "0.tfrecord").read_bytes()[:-3])
  with pytest.raises(errors.UserError, match="within record 9"):
    tfrecord.offsets(str(cut))
