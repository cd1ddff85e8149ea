"""One image, of which boxes are cut out; decoded as little as possible."""

import copy

import numpy as np

from jmim.core import errors
from jmim.data import boxes
from jmim.data import decode
from jmim.data import formats
from jmim.data import jpeg


class Picture:
  """An image in memory or still encoded.

  Attributes:
    size: (height, width) in pixels, upright.
  """

  def __init__(
    self,
    image: bytes | np.ndarray,
    channels: int,
    decoder: str = "pillow",
    kernel: str = "bicubic",
    whole: bool = False,
    max_pixels: int = formats.MAX_PIXELS,
  ):
    """Opens an image.

    Args:
      image: an encoded file, or uint8 [h, w] or [h, w, 1 | 3 | 4].
      channels: 1 (grey) or 3 (RGB).
      decoder: "pillow", or "turbo": JPEGs by `jmim.data.jpeg`, everything
        resized by `decode.quick_resize`.
      kernel: "bicubic" or "bilinear" (with "pillow" only).
      whole: several boxes will be cut: decode once, all of it.
      max_pixels: of the largest file that is decoded.

    Raises:
      BadImage: it cannot be read. Damage may show when a box is cut.
    """
    self._image, self._channels = image, channels
    self._quick, self._kernel = decoder == "turbo", kernel
    self._pixels, self._max_pixels = None, max_pixels
    size = _plain_size(image, max_pixels) if self._quick else None
    if size is None:
      self._pixels = self._decoded()
    self.size = size or self._pixels.shape[:2]
    if whole:
      _ = self.pixels

  @property
  def pixels(self) -> np.ndarray:
    """All of it: uint8 [h, w, channels]."""
    if self._pixels is None:
      self._pixels = self._jpeg((0, 0, *self.size))[0]
    return self._pixels

  def part(self, box: boxes.Box, name: str) -> "Picture":
    """A part of it, as if no more were stored.

    Args:
      box: as data.box.
      name: of the picture, for the message.

    Raises:
      UserError: the box is not inside.
    """
    top, left, height, width = box
    high, wide = self.size
    if top + height > high or left + width > wide:
      raise errors.UserError(
        f"{name} is {high} x {wide} pixels, data.box={tuple(box)}",
        "(top, left, height, width) within every image",
        "change data.box",
        "data.box",
      )
    made = copy.copy(self)
    made._pixels = self.pixels[top : top + height, left : left + width]
    made.size = (height, width)
    return made

  def cut(
    self, box: boxes.Box, size: int | decode.Sides
  ) -> tuple[np.ndarray, boxes.Box]:
    """A box, resized.

    Args:
      box: inside the image.
      size: side of the result, or (height, width).

    Returns:
      uint8 [height, width, channels]; and the box it shows, which the decoder
      "turbo" may round outward by a few pixels where it shrinks a lot.

    Raises:
      BadImage: the bytes are damaged.
    """
    sides = decode.sides_of(size)
    if self._pixels is None:
      denom = jpeg.shrink(*box[2:], sides)
      pixels, box = self._jpeg(box, denom)
    else:
      top, left, height, width = box
      # Cut before it is resized, so that no pixel outside the box bleeds in.
      pixels = self._pixels[top : top + height, left : left + width]
    if self._quick:
      return decode.quick_resize(pixels, *sides), box
    return decode.resize(pixels, *sides, self._kernel), box

  def _decoded(self) -> np.ndarray:
    """All of it, by Pillow."""
    return decode.decode(self._image, self._channels, self._max_pixels)

  def _jpeg(
    self, box: boxes.Box, denom: int = 1
  ) -> tuple[np.ndarray, boxes.Box]:
    """By libjpeg-turbo, or by Pillow where that sees damage."""
    try:
      return jpeg.crop(self._image, box, self._channels, denom)
    except jpeg.Unsuited:
      # Pillow forgives what does no harm, and names what does.
      self._pixels = self._decoded()
      top, left, height, width = box
      return self._pixels[top : top + height, left : left + width], box


def _plain_size(
  image: bytes | np.ndarray, max_pixels: int
) -> tuple[int, int] | None:
  """(height, width) of a JPEG: stored upright, not CMYK, not too large."""
  if not isinstance(image, bytes) or image[:2] != b"\xff\xd8":
    return None
  try:
    size = jpeg.size(image)
  except jpeg.Unsuited:
    return None
  fine = size[0] * size[1] <= max_pixels and formats.stored_upright(image)
  return size if fine else None
