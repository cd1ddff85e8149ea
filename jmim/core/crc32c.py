"""The checksum of TFRecord: CRC-32C (Castagnoli), masked."""

import google_crc32c
import numpy as np


def masked(data: bytes) -> int:
  """As TFRecord stores it: rotated, and a constant added."""
  crc = google_crc32c.value(data)
  return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def masked_rows(rows: np.ndarray) -> np.ndarray:
  """`masked` of each row: uint8 [n, l] -> uint32 [n]."""
  return np.array([masked(row.tobytes()) for row in rows], np.uint32)
