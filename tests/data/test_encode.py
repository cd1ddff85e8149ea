import numpy as np
import PIL.Image
import pytest

from jmim.data import encode


@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 7)])
def test_a_png_holds_the_pixels_and_is_read_from_its_beginning(shape):
  image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  file = encode.png(image)
  assert file.tell() == 0
  with PIL.Image.open(file) as picture:
    assert picture.format == "PNG"
    np.testing.assert_array_equal(np.asarray(picture), image)
