import numpy as np
import pytest

from jmim.core import errors
from jmim.data import decode
from jmim.data import plain


def _noise(h, w, c=3, seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (h, w, c), np.uint8)


def test_fit():
  image = _noise(8, 8)
  assert plain.fit(image, 8) is image
  with pytest.raises(errors.UserError, match="cat.png is 8 x 6") as caught:
    plain.fit(image[:, :6], 8, "cat.png", "data.eval_crop")
  assert caught.value.key == "data.eval_crop"


def test_a_crop_without_chance_is_the_centre_or_nothing():
  image = _noise(20, 30)
  middle = lambda **how: plain.cut(image, 8, crop="center", **how)
  np.testing.assert_array_equal(middle(), decode.center(image, 8, 8))
  np.testing.assert_array_equal(
    middle(resize_to=12), decode.center(image, 8, 12)
  )
  assert plain.cut(image[:8, :8], 8, crop="none").shape == (8, 8, 3)
  with pytest.raises(errors.UserError, match="the image is 20 x 30"):
    plain.cut(image, 8, crop="none")


def test_a_squashed_image_shows_all_of_it():
  """Both sides to one length, whatever they were; then the middle."""
  x = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
  for kernel in ("bicubic", "bilinear"):
    whole = decode.resize(x, 8, 8, kernel)
    found = plain.cut(x, 8, "squash", kernel=kernel)
    np.testing.assert_array_equal(found, whole)
    inner = plain.cut(x, 4, "squash", 8, kernel=kernel)
    np.testing.assert_array_equal(inner, whole[2:6, 2:6])
    center = plain.cut(x, 4, "center", 6, kernel=kernel)
    np.testing.assert_array_equal(
      center, decode.resize(x, 6, 10, kernel)[1:5, 3:7]
    )


@pytest.mark.parametrize("shape", [(20, 30), (30, 20), (12, 40)])
def test_rectangles_are_the_middle_of_what_covers_them(shape):
  """Nothing is stretched: by Pillow, the least image around the rectangle."""
  image = _noise(*shape)
  high, wide = 6, 10
  found = plain.cut(image, (high, wide), "center", resize_to=12)
  factor = max(round(12 * high / wide) / shape[0], 12 / shape[1])
  whole = [int(factor * side + 1e-9) for side in shape]
  top, left = round((whole[0] - high) / 2), round((whole[1] - wide) / 2)
  want = decode.resize(image, *whole)[top : top + high, left : left + wide]
  np.testing.assert_array_equal(found, want)
  squashed = plain.cut(image, (high, wide), "squash")
  np.testing.assert_array_equal(squashed, decode.resize(image, high, wide))


def test_a_rectangle_of_another_size_names_the_height():
  image = _noise(6, 10)
  assert plain.cut(image, (6, 10), crop="none") is image
  with pytest.raises(errors.UserError, match="6 x 10 pixels") as caught:
    plain.cut(image, (10, 6), crop="none")
  assert "10 x 6" in str(caught.value) and "data.height" in str(caught.value)
