"""A PNG by hand, to say what no encoder would."""

import struct
import zlib


def png_header(width, height):
  """A PNG that says it is of that size, with hardly any pixels."""
  chunk = lambda kind, data: (
    struct.pack(">I", len(data))
    + kind
    + data
    + struct.pack(">I", zlib.crc32(kind + data))
  )
  header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
  pixels = zlib.compress(bytes(1000))
  parts = (b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")
  return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
