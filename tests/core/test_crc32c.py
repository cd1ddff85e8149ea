"""The masked CRC-32C of TFRecord."""

import numpy as np
import pytest

from jmim.core import crc32c


def by_definition(data):
  crc = 0xFFFFFFFF
  for byte in data:
    crc ^= byte
    for _ in range(8):
      crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
  return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize("length", [0, 1, 63, 256, 1000])
def test_it_is_that_of_the_definition_rotated_and_moved(length):
  data = np.random.default_rng(length).integers(0, 256, length, np.uint8)
  crc = by_definition(data.tolist())
  want = ((crc >> 15) | (crc << 17 & 0xFFFFFFFF)) + 0xA282EAD8
  assert crc32c.masked(data.tobytes()) == want % 2**32


def test_known_values():
  # As the writers of TensorBoard's files compute it.
  assert crc32c.masked(b"123456789") == 0xC78AB0E5
  assert crc32c.masked((16).to_bytes(8, "little")) == 0x18FEFB95


@pytest.mark.parametrize("shape", [(0, 5), (7, 0), (100, 61)])
def test_many_rows_are_as_one_by_one(shape):
  rows = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  want = [crc32c.masked(row.tobytes()) for row in rows]
  assert crc32c.masked_rows(rows).tolist() == want
