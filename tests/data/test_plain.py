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
