"""Images as files, for the builders of data sets."""

import io

import numpy as np
from PIL import Image


def png(image: np.ndarray) -> io.BytesIO:
  """The PNG file of uint8 [h, w, 3] or [h, w], read from its beginning.

  Builders hand images over encoded, because given pixels TFDS would ask
  TensorFlow to encode them.
  """
  file = io.BytesIO()
  Image.fromarray(image).save(file, "png", compress_level=1)
  file.seek(0)
  return file
