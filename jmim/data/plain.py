"""Crops without chance: what evaluation, and data without augmentation, see."""

import numpy as np

from jmim.core import errors
from jmim.data import decode


def fit(
  image: np.ndarray,
  size: int | decode.Sides,
  name: str = "the image",
  key: str = "data.host_crop",
) -> np.ndarray:
  """The image itself, for data that needs no crop.

  Args:
    image: uint8 [h, w, c].
    size: what height and width must be, in pixels; or (height, width).
    name: which image, for the message.
    key: config key of the crop that was set to "none", for the message.

  Returns:
    `image`, uint8 [size, size, c] or [height, width, c].

  Raises:
    UserError: the image has another size.
  """
  height, width = image.shape[:2]
  high, wide = decode.sides_of(size)
  if (height, width) != (high, wide):
    own = "data.size" if high == wide else "data.height and data.size"
    raise errors.UserError(
      f"{name} is {height} x {width} pixels",
      f'{high} x {wide}, as the crop is "none"',
      f'set {key} to "center", or {own} to the size of the images',
      key,
    )
  return image


def cut(
  image: np.ndarray,
  size: int | decode.Sides,
  crop: str,
  resize_to: int = 0,
  name: str = "the image",
  key: str = "data.eval_crop",
  kernel: str = "bicubic",
) -> np.ndarray:
  """A crop without chance: what evaluation sees of an image.

  Args:
    image: uint8 [h, w, c].
    size: side of the result in pixels, or (height, width).
    crop: "center", "squash", or "none": the image must be of that size.
    resize_to: short side before a centre crop, both of a squashed image; 0:
      `size`. Of a rectangle see `decode.enlarged`.
    name: which image, for messages.
    key: config key of the crop, for messages.
    kernel: as of `decode.resize`.

  Returns:
    uint8 [size, size, c], or [height, width, c].

  Raises:
    UserError: as `fit`.
  """
  if crop == "squash":
    image = decode.resize(image, *decode.enlarged(size, resize_to), kernel)
  if crop in ("center", "squash"):
    return decode.center(image, size, resize_to, kernel)
  return fit(image, size, name, key)
