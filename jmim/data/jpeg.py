"""The part of a JPEG that a crop needs, by libjpeg-turbo.

Rows below a crop are not read, blocks above and beside it are parsed but not
transformed, and a crop at least four times as large as wanted is decoded at a
half, a quarter or an eighth, which the inverse transform does for free. The
library is used through ctypes, which releases the interpreter lock: that of the
Python package `turbojpeg` (the extra `fast`) or else the system's, version 3 or
newer in both cases.
"""

import ctypes
import ctypes.util
import functools
import importlib.util
import pathlib
from collections.abc import Iterator

import numpy as np

# Of turbojpeg.h.
_DECOMPRESS = 1
_STOP_ON_WARNING, _WIDTH, _HEIGHT, _SUBSAMPLING, _COLORSPACE = 0, 5, 6, 4, 8
_PIXELS = {3: 0, 1: 6}  # channels -> TJPF_RGB, TJPF_GRAY
_PLAIN = (0, 1, 2)  # RGB, YCbCr, grey; not CMYK or YCCK
_MCU_WIDTH = (8, 16, 16, 8, 8, 32, 8)  # of each subsampling, in pixels


class Unsuited(ValueError):
  """Not a JPEG, or one that the general decoder must look at; says why."""


class _Region(ctypes.Structure):
  _fields_ = [(name, ctypes.c_int) for name in ("x", "y", "w", "h")]


class _Scale(ctypes.Structure):
  _fields_ = [(name, ctypes.c_int) for name in ("num", "denom")]


_HANDLE, _INT = ctypes.c_void_p, ctypes.c_int
_BYTES, _SIZE = ctypes.c_char_p, ctypes.c_size_t
_FUNCTIONS = {
  "tj3Init": (_HANDLE, [_INT]),
  "tj3Destroy": (None, [_HANDLE]),
  "tj3Get": (_INT, [_HANDLE, _INT]),
  "tj3Set": (_INT, [_HANDLE, _INT, _INT]),
  "tj3DecompressHeader": (_INT, [_HANDLE, _BYTES, _SIZE]),
  "tj3SetScalingFactor": (_INT, [_HANDLE, _Scale]),
  "tj3SetCroppingRegion": (_INT, [_HANDLE, _Region]),
  "tj3Decompress8": (
    _INT,
    [_HANDLE, _BYTES, _SIZE, ctypes.c_void_p, _INT, _INT],
  ),
  "tj3GetErrorStr": (_BYTES, [_HANDLE]),
}


def available() -> bool:
  """Whether there is a libjpeg-turbo that can crop."""
  return _library() is not None


def _candidates() -> Iterator[str]:
  spec = importlib.util.find_spec("turbojpeg")
  if spec and spec.origin:
    folder = pathlib.Path(spec.origin).parent
    for name in ("turbojpeg.libs", "."):
      yield from map(str, sorted(folder.glob(f"{name}/*turbojpeg*.so.*")))
      yield from map(str, sorted(folder.glob(f"{name}/*turbojpeg*.dll")))
  if name := ctypes.util.find_library("turbojpeg"):
    yield name


@functools.cache
def _library() -> ctypes.CDLL | None:
  for path in _candidates():
    try:
      library = ctypes.CDLL(path)
      for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError):
      continue  # not loadable here, or older than version 3
    return library
  return None


class _Decoder:
  """One decompressor of the library, for one picture.

  Not for the next one too: it would keep tables for a file that lacks its own,
  and in the middle of a broken header it would refuse all that follow. A new
  one takes 2 microseconds.
  """

  def __init__(self):
    self.lib = _library()
    assert self.lib is not None, "ask available() first"

  def __enter__(self):
    self.handle = self.lib.tj3Init(_DECOMPRESS)
    # Warnings mean damage; what to do about it the general decoder decides.
    self.lib.tj3Set(self.handle, _STOP_ON_WARNING, 1)
    return self

  def __exit__(self, *_):
    self.lib.tj3Destroy(self.handle)

  def call(self, name: str, *arguments, fine: str | None = None) -> None:
    """Calls a function that returns 0, or says `fine`, if all went well."""
    if getattr(self.lib, name)(self.handle, *arguments):
      said = self.lib.tj3GetErrorStr(self.handle).decode()
      if fine is None or fine not in said:
        raise Unsuited(said)

  def get(self, parameter: int) -> int:
    return self.lib.tj3Get(self.handle, parameter)

  def size(self, data: bytes) -> tuple[int, int]:
    """As the function below."""
    self.call("tj3DecompressHeader", data, len(data))
    height, width = self.get(_HEIGHT), self.get(_WIDTH)
    if self.get(_COLORSPACE) not in _PLAIN:
      raise Unsuited("CMYK")
    return height, width


def size(data: bytes) -> tuple[int, int]:
  """(height, width) of a JPEG, from its header.

  Raises:
    Unsuited: not a JPEG, or CMYK.
  """
  with _Decoder() as decoder:
    return decoder.size(data)


def shrink(height: int, width: int, sides: tuple[int, int]) -> int:
  """Largest of 8, 4, 2, 1 that keeps a crop at twice `sides` (height, width).

  The scaled transform is a coarser filter than the resize after it, which with
  a factor of two to go hides that; exactly as small as wanted, it was 3.6 of
  255 levels away on a photograph of fine texture.
  """
  times = min(height // sides[0], width // sides[1])
  return next(d for d in (8, 4, 2, 1) if d == 1 or times >= 2 * d)


def crop(
  data: bytes, box: tuple[int, int, int, int], channels: int, denom: int = 1
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
  """Decodes a box of an image.

  Args:
    data: a JPEG.
    box: (top, left, height, width) in pixels of the whole image.
    channels: 1 or 3.
    denom: decode at 1 / denom of the size; 1, 2, 4 or 8.

  Returns:
    uint8 [h, w, channels] at the smaller size; and the box that it shows, in
    pixels of the whole image: `box` rounded outward to multiples of `denom`.

  Raises:
    Unsuited: the bytes are damaged.
  """
  with _Decoder() as decoder:
    whole = [-(-side // denom) for side in decoder.size(data)]
    top, left = box[0] // denom, box[1] // denom
    bottom = min(whole[0], -(-(box[0] + box[2]) // denom))
    right = min(whole[1], -(-(box[1] + box[3]) // denom))
    # Crops start at a block; one pixel more on each side, as the colour of an
    # edge pixel is interpolated with its neighbour's.
    step = max(1, _MCU_WIDTH[decoder.get(_SUBSAMPLING)] // denom)
    start = max(0, left - 1) // step * step
    end = min(whole[1], right + 1)
    image = np.empty((bottom - top, end - start, channels), np.uint8)
    decoder.call("tj3SetScalingFactor", _Scale(1, denom))
    region = _Region(start, top, end - start, bottom - top)
    decoder.call("tj3SetCroppingRegion", region)
    short = shortened(data, bottom * denom)
    target = (image.ctypes.data, 0, _PIXELS[channels])
    # What is left over in a shortened picture is noticed when all is done; a
    # damaged one is left with other words before.
    fine = None if short is data else _LEFT_OVER
    decoder.call("tj3Decompress8", short, len(short), *target, fine=fine)
  shown = top * denom, left * denom, image.shape[0] * denom
  shown = (*shown, (right - left) * denom)
  return image[:, left - start : right - start], shown


_LEFT_OVER = "extraneous bytes before marker"
_END = b"\xff\xd9"


def shortened(data: bytes, rows: int) -> bytes:
  """The same JPEG claiming to end below `rows`, so that parsing stops there.

  Only where all of a row is stored together (baseline, one scan, no restart
  markers, after which left-over bytes could mean damage); others come back as
  they are.

  Args:
    data: a JPEG.
    rows: pixels that must stay as they are.
  """
  place, frame = 2, None
  while place + 10 < len(data) and data[place] == 0xFF:
    marker = data[place + 1]
    if marker in (0xC0, 0xC1):
      frame = place
    elif marker == 0xDD or 0xC2 <= marker <= 0xCF and marker != 0xC4:
      return data
    elif marker == 0xDA:
      break
    place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
  else:
    return data
  if frame is None or data[place + 4] != data[frame + 9]:
    return data
  # Rows of blocks that are stored together, in pixels. The next pixel too must
  # stay, as colours are interpolated.
  stored = data[frame + 11 : frame + 11 + 3 * data[frame + 9] : 3]
  block = 8 * max([1, *(sampling & 15 for sampling in stored)])
  rows = -(-(rows + 2) // block) * block
  if rows >= int.from_bytes(data[frame + 5 : frame + 7], "big"):
    return data
  head, rest = data[: frame + 5], memoryview(data)[frame + 7 :]
  # With an end of its own: a file cut short below the rows would else be told
  # in the same words as one cut short above.
  return b"".join((head, rows.to_bytes(2, "big"), rest, _END))
