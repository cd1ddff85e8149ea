"""Encoded files to upright pictures of 8 bits, and what their values mean.

    stored as                       read as
    grey, RGB, palette, 1 bit       the colours it shows
    CMYK, YCCK, LAB                 RGB by Pillow's formula; profiles are unused
    16 bit, grey                    v / 257, rounded
    16 bit, colour or transparent   the upper 8 bits
    floats, 32 bit                  refused: their range is not known
    transparency                    dropped: the colour that lies below it
    animation                       its first frame
    orientation by EXIF or XMP      turned upright; not readable: as stored
    more pixels than `max_pixels`   refused, before anything is decoded
    another format than `KNOWN`     refused; not given to any decoder

All decoders hold to it: `jmim.data.jpeg` is given only what needs none of this.
"""

import io
import os
import re

import numpy as np
import PIL
from PIL import ExifTags
from PIL import Image

# Pillow would try everything it knows, and starts Ghostscript for EPS, which
# runs a program that the file holds.
KNOWN = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
MAX_PIXELS = 2**26  # where nobody says how many; the default of the key
_LYING = 5  # orientations from here on exchange height and width
_TIFF_SIDES = (ExifTags.Base.ImageWidth, ExifTags.Base.ImageLength)
_XMP_NAMES = ("xmp", "XML:com.adobe.xmp")
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_TURNS = {
  2: Image.Transpose.FLIP_LEFT_RIGHT,
  3: Image.Transpose.ROTATE_180,
  4: Image.Transpose.FLIP_TOP_BOTTOM,
  5: Image.Transpose.TRANSPOSE,
  6: Image.Transpose.ROTATE_270,
  7: Image.Transpose.TRANSVERSE,
  8: Image.Transpose.ROTATE_90,
}


class BadImage(ValueError):
  """An example that is no picture, or not one that can be read; says why."""


def read(data: bytes, mode: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
  """Opens, decodes and turns upright.

  Args:
    data: an encoded file.
    mode: "RGB" or "L".
    max_pixels: of the largest picture that is decoded.

  Raises:
    BadImage: it cannot be decoded, or is too large.
  """
  try:
    with Image.open(io.BytesIO(data), formats=KNOWN) as picture:
      _check_size(picture, max_pixels)
      picture.load()
      _check_size(picture, max_pixels)  # frames of a GIF may enlarge it
      return upright(picture, mode)
  except (MemoryError, BadImage):
    raise
  except PIL.UnidentifiedImageError as error:
    # Its own words name an object in memory.
    raise _unknown(data) from error
  except Exception as error:
    # Corrupt files surface as nearly any exception (OSError, SyntaxError,
    # struct.error, DecompressionBombError ...); all of them mean the same here,
    # as no other I/O happens inside.
    raise BadImage(f"{type(error).__name__}: {error}") from error


def check(data: bytes, max_pixels: int = MAX_PIXELS) -> None:
  """Looks at the header of a file that another decoder is to be given.

  Args:
    data: an encoded file.
    max_pixels: as of `read`.

  Raises:
    BadImage: it is in no known format, or too large.
  """
  try:
    with Image.open(io.BytesIO(data), formats=KNOWN) as picture:
      _check_size(picture, max_pixels)
  except (MemoryError, BadImage):
    raise
  except Exception as error:  # as in `read`
    raise _unknown(data) from error


def sides(path: str) -> tuple[int, int] | None:
  """(height, width) of an upright picture, by the header of its file.

  None: it has none that can be read.
  """
  if not os.path.isfile(path):  # a pipe may have no end
    return None
  try:
    with Image.open(path, formats=KNOWN) as picture:
      width, height = _stored_size(picture)
      turned = orientation(picture) >= _LYING
  except MemoryError:
    raise
  except Exception:  # as in `read`
    return None
  return (width, height) if turned else (height, width)


def _stored_size(picture: Image.Image) -> tuple[int, int]:
  """(width, height) before any turn: `size` of a TIFF may be after it."""
  if picture.format == "TIFF":
    return tuple(picture.tag_v2[tag] for tag in _TIFF_SIDES)
  return picture.size


def _check_size(picture: Image.Image, max_pixels: int) -> None:
  width, height = picture.size
  if width * height > max_pixels:
    raise BadImage(
      f"{height} x {width} pixels, above the limit of {max_pixels} "
      "(data.max_pixels)"
    )


def _unknown(data: bytes) -> BadImage:
  known = ", ".join(KNOWN)
  return BadImage(f"{len(data)} bytes that are no picture in {known}")


def upright(picture: Image.Image, mode: str) -> Image.Image:
  """A picture of 8 bits that needs no turn.

  Args:
    picture: opened, and loaded.
    mode: as of `read`.

  Raises:
    BadImage: the range of its pixels is not known.
  """
  # Pillow turns a TIFF as it loads it, but 10 leaves the note as it was.
  done = picture.format == "TIFF"
  turn = None if done else _TURNS.get(orientation(picture))
  plain = _eight_bits(picture)
  if plain.mode != mode:
    plain = plain.convert(mode)
  return plain if turn is None else plain.transpose(turn)


def orientation(picture: Image.Image) -> int:
  """By EXIF, else by XMP; 1 is upright, as is what cannot be read.

  Args:
    picture: opened; of a PNG also loaded, as notes may follow the pixels.
  """
  try:
    found = picture.getexif().get(ExifTags.Base.Orientation)
    found = _by_xmp(picture) if found is None else found
    return found if found in _TURNS else 1
  except MemoryError:
    raise
  except Exception:
    # Notes that are damaged surface as nearly any exception too, and the
    # pixels are whole.
    return 1


def _by_xmp(picture: Image.Image) -> int:
  """Pillow 10 looks into the XMP of a PNG only, and not into other formats'."""
  places = [picture.info.get(name, b"") for name in _XMP_NAMES]
  places += [
    data for name, data in getattr(picture, "applist", ()) if name == "APP1"
  ]
  for notes in places:
    text = notes.encode() if isinstance(notes, str) else bytes(notes)
    if match := _XMP_ORIENTATION.search(text):
      return int(match[1])
  return 1


def stored_upright(data: bytes) -> bool:
  """Whether a JPEG needs no turn; its pixels are not decoded."""
  if not _has_notes(data):
    return True
  try:
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
      return orientation(picture) == 1
  except MemoryError:
    raise
  except Exception:
    return False  # as in `read`, which will say what is wrong


def _has_notes(data: bytes) -> bool:
  """Whether a JPEG may have EXIF or XMP: a segment APP1 before its pixels."""
  place = 2
  while place + 4 <= len(data) and data[place] == 0xFF:
    marker = data[place + 1]
    if marker == 0xDA:
      return False
    if marker == 0xE1:
      return True
    fill = marker == 0xFF
    length = int.from_bytes(data[place + 2 : place + 4], "big")
    place += 1 if fill else 2 + length
  return True  # an odd one, at which Pillow should look


def _eight_bits(picture: Image.Image) -> Image.Image:
  """Rescales deep grey images, which Pillow would clip, and drops palettes."""
  if picture.mode == "P" and "transparency" in picture.info:
    return picture.convert("RGBA")
  if not picture.mode.startswith(("I", "F")):
    return picture
  deep = np.asarray(picture)
  if picture.mode == "F" or deep.min() < 0 or deep.max() > 65535:
    raise BadImage(f"pixels of mode {picture.mode} without a known range")
  return Image.fromarray(((deep.astype(np.uint32) + 128) // 257).astype("u1"))
