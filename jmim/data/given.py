"""Images as a caller of `jmim.load` has them, as `decode.decode` takes them.

One image is one image: an array [h, w, c] is never h grey ones.
"""

import os
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import PIL.Image

from jmim.core import errors
from jmim.core import home
from jmim.data import formats

# An array is numpy's, JAX's, or whatever numpy can read.
Image = bytes | str | os.PathLike | PIL.Image.Image | Any
_SINGLE = (bytes, bytearray, str, os.PathLike, PIL.Image.Image)
_CHANNELS = (1, 3, 4)
_GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "F")


def images(given: Image | Iterable[Image]) -> list[bytes | np.ndarray]:
  """What each image is encoded or stored as, in order.

  Args:
    given: one image or several. One: an encoded file as bytes, its path (~ is
      the home), a picture of Pillow, or a uint8 array [h, w] or [h, w, c].
      Several: an array [b, h, w, c], or a list of what one can be.

  Returns:
    one entry per image: bytes, or a uint8 array [h, w] or [h, w, c].

  Raises:
    UserError: no image, one that is not such, or a file that is not there.
  """
  if isinstance(given, _SINGLE):
    return [_image(given, "the image")]
  if hasattr(given, "__array__"):
    given = _array(given, "the images")
    given = [given] if given.ndim < 4 else given
  elif not isinstance(given, Iterable):
    raise _not_images("the images", type(given).__name__)
  found = [_image(image, f"image {i}") for i, image in enumerate(given)]
  if not found:
    raise _not_images("the images", "none")
  return found


def _image(given: Image, name: str) -> bytes | np.ndarray:
  """One image; `name` is for messages."""
  if isinstance(given, str | os.PathLike):
    return _read(home.expand(given, None), name)
  if isinstance(given, PIL.Image.Image):
    return _pixels(given)
  if isinstance(given, bytes | bytearray):
    return bytes(given)
  if not hasattr(given, "__array__"):
    raise _not_images(name, type(given).__name__)
  array = _array(given, name)
  if array.ndim != 2 and (array.ndim != 3 or array.shape[-1] not in _CHANNELS):
    raise _not_images(name, f"{array.dtype}{list(array.shape)}")
  return array


def _array(given: Any, name: str) -> np.ndarray:
  """uint8, of 2 to 4 dimensions none of which is 0."""
  array = np.asarray(given)
  sound = array.dtype == np.uint8 and 2 <= array.ndim <= 4
  if not sound or 0 in array.shape:
    raise _not_images(name, f"{array.dtype}{list(array.shape)}")
  return array


def _read(path: pathlib.Path, name: str) -> bytes:
  try:
    return path.read_bytes()
  except OSError as e:
    raise errors.UserError(
      f"{name}: {errors.first_line(e)}",
      "the path of an image that can be read",
      "correct it",
      "images",
    ) from e


def _pixels(picture: PIL.Image.Image) -> np.ndarray:
  """uint8 [h, w] of a grey picture, else [h, w, 3], upright."""
  picture.load()
  mode = "L" if picture.mode in _GREY else "RGB"
  return np.asarray(formats.upright(picture, mode))


def _not_images(name: str, seen: str) -> errors.UserError:
  return errors.UserError(
    f"{name}: {seen}",
    "uint8 arrays [h, w, 1 | 3 | 4] or [h, w], one array [b, h, w, c], "
    "encoded bytes, paths or pictures of Pillow",
    "of floats, round(255 x) as uint8; of [b, h, w], x[..., None]",
    "images",
  )
