"""Encoded bytes, or a uint8 array, to one uint8 image of the size asked for.

Pillow's filters are antialiased (the support grows with the shrink factor, as
in torchvision on PIL images), and its readers cover what people keep in
folders. `quick_resize` is several times faster and a little less exact; with
`jmim.data.jpeg` it makes the decoder "turbo". Flip, normalisation and mixing
are not done here; they run on the device.
"""

import math

import cv2
import numpy as np
from PIL import Image

from jmim.data import formats
from jmim.data import window

_MODES = {1: "L", 3: "RGB"}
_CROP_TRIES = 10
# Pixels of a resized image, of which a crop is taken; above, only the crop is
# made.
_MOST_RESIZED = 2**24


BadImage = formats.BadImage
Sides = tuple[int, int]  # (height, width)


def decode(
  image: bytes | np.ndarray,
  channels: int,
  max_pixels: int = formats.MAX_PIXELS,
) -> np.ndarray:
  """Decodes to RGB or grey, upright, 8 bits.

  What its values mean: see `formats`.

  Args:
    image: an encoded file, or uint8 [h, w] or [h, w, 1 | 3 | 4].
    channels: 1 (grey) or 3 (RGB).
    max_pixels: of the largest file that is decoded.

  Returns:
    uint8 [h, w, channels].

  Raises:
    BadImage: the bytes cannot be decoded or hold too many pixels, or the array
      is not an image.
  """
  assert channels in _MODES, channels
  mode = _MODES[channels]
  if not isinstance(image, np.ndarray):
    return _to_array(formats.read(image, mode, max_pixels))
  return _to_array(_from_array(image).convert(mode))


def _from_array(image: np.ndarray) -> Image.Image:
  if image.ndim == 2:
    image = image[..., None]
  if image.dtype != np.uint8 or image.ndim != 3 or 0 in image.shape:
    raise BadImage(
      f"an array {image.dtype}{list(image.shape)}; pixels are uint8 [h, w, c], "
      "from 0 to 255"
    )
  if image.shape[-1] not in (1, 3, 4):
    raise BadImage(f"an array with {image.shape[-1]} channels, not 1, 3 or 4")
  return _to_picture(image)


def _to_picture(image: np.ndarray) -> Image.Image:
  return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _to_array(picture: Image.Image) -> np.ndarray:
  array = np.asarray(picture)
  return array[..., None] if array.ndim == 2 else array


def resize(
  image: np.ndarray, height: int, width: int, kernel: str = "bicubic"
) -> np.ndarray:
  """Antialiased; uint8 [h, w, c] -> uint8 [height, width, c].

  Args:
    image: uint8 [h, w, c].
    height: of the result.
    width: of the result.
    kernel: "bicubic" or "bilinear".
  """
  if image.shape[:2] == (height, width):
    return image
  picture = _to_picture(np.ascontiguousarray(image))
  resized = picture.resize((width, height), Image.Resampling[kernel.upper()])
  return _to_array(resized)


def quick_resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
  """Nearly `resize` with the bicubic kernel, many times as fast.

  Each axis is halved while it is four times too long; then smoothed with a
  Gaussian whose std grows with the factor that is left, and sampled:
  linearly if both axes shrink, which is half the work, with a cubic kernel if
  one grows. On photographs the result is 0.5 to 1.5 of 255 levels from the
  antialiased kernel on average; the bilinear one would be 1.5 from it.

  Args:
    image: uint8 [h, w, c].
    height: of the result.
    width: of the result.

  Returns:
    uint8 [height, width, c].
  """
  if image.shape[:2] == (height, width):
    return image
  h, w, channels = image.shape
  while h >= 4 * height or w >= 4 * width:
    h = (h + 1) // 2 if h >= 4 * height else h
    w = (w + 1) // 2 if w >= 4 * width else w
    image = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
  linear = h > height and w > width
  (x, dx), (y, dy) = (_smoothing(f, linear) for f in (w / width, h / height))
  if x > 1 or y > 1:
    image = cv2.GaussianBlur(image, (x, y), dx, sigmaY=dy)
  sampled = cv2.INTER_LINEAR if linear else cv2.INTER_CUBIC
  image = cv2.resize(image, (width, height), interpolation=sampled)
  return image.reshape(height, width, channels)


def _smoothing(factor: float, linear: bool) -> tuple[int, float]:
  """(taps, std) of the Gaussian before shrinking by a factor.

  Fitted on two photographs. What is sampled linearly is smoothed by that too;
  below a factor of 1.5 more of it brings nothing.
  """
  if factor <= (1.5 if linear else 1):
    return 1, 0.1
  taps = 3 if factor < 2.1 else 5 if factor < 3.6 else 7
  return taps, max(0.1, 0.4 * factor - (0.17 if linear else 0.05))


def sides_of(size: int | Sides) -> Sides:
  """(height, width) of a square of that side, or as they are given."""
  return (size, size) if isinstance(size, int) else size


def enlarged(size: int | Sides, resize_to: int = 0) -> Sides:
  """What is resized before a crop of that size: its width `resize_to`.

  The height has the proportion of the crop. 0: no more than the crop.
  """
  height, width = sides_of(size)
  return (round((resize_to or width) * height / width), resize_to or width)


def covering(height: int, width: int, sides: Sides) -> Sides:
  """Least (height, width) of an image's proportion in which `sides` lie.

  The long side is rounded down, as torchvision does.
  """
  high, wide = sides
  if height * wide <= width * high:
    return high, high * width // height
  return wide * height // width, wide


def center(
  image: np.ndarray,
  size: int | Sides,
  resize_to: int = 0,
  kernel: str = "bicubic",
) -> np.ndarray:
  """Short side to `resize_to`, then the middle of `size`.

  Args:
    image: uint8 [h, w, c].
    size: side of the result in pixels, or (height, width).
    resize_to: length of the short side before the crop, at least `size`; of a
      rectangle see `enlarged`.
    kernel: as of `resize`.

  Returns:
    uint8 [size, size, c], or [height, width, c].
  """
  sides = sides_of(size)
  shape = covering(*image.shape[:2], enlarged(size, resize_to))
  assert shape[0] >= sides[0] and shape[1] >= sides[1], (shape, sides)
  top, left = (round((n - s) / 2) for n, s in zip(shape, sides, strict=True))
  if shape[0] * shape[1] > _MOST_RESIZED:
    return window.resized(image, shape, top, left, sides=sides, kernel=kernel)
  image = resize(image, *shape, kernel=kernel)
  return image[top : top + sides[0], left : left + sides[1]]


def crop_box(
  height: int,
  width: int,
  scale: tuple[float, float],
  ratio: tuple[float, float],
  rng: np.random.Generator,
) -> tuple[int, int, int, int]:
  """torchvision's RandomResizedCrop: ten tries, then a central box.

  Args:
    height: of the image, in pixels.
    width: of the image, in pixels.
    scale: smallest and largest area of the box, as a share of the image.
    ratio: smallest and largest width / height; uniform in its logarithm.
    rng: consumed.

  Returns:
    (top, left, h, w) of a box inside the image, in pixels.
  """
  for _ in range(_CROP_TRIES):
    area = height * width * rng.uniform(*scale)
    aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
    w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
    if 0 < w <= width and 0 < h <= height:
      top = int(rng.integers(height - h + 1))
      return top, int(rng.integers(width - w + 1)), h, w
  # As much of the middle as the allowed aspect ratios leave.
  w, h = width, height
  if width / height < ratio[0]:
    h = max(1, round(width / ratio[0]))
  elif width / height > ratio[1]:
    w = max(1, round(height * ratio[1]))
  return (height - h) // 2, (width - w) // 2, h, w
