import functools

import jax
import numpy as np
import PIL.Image
import pytest

from jmim.nn import resize
from jmim.nn.degrade import resample

SIZES = [(16, 16), (16, 5), (7, 16), (13, 4)]  # (old, new)


@pytest.mark.parametrize("kind", resample.KINDS)
def test_weights_of_drawn_sizes_are_those_of_known_ones(kind):
  old, new = np.array(SIZES).T
  found = jax.jit(functools.partial(resample.weights, kind, shape=(16, 16)))(
    old, new
  )
  for weights, (a, b) in zip(np.asarray(found), SIZES, strict=True):
    want = resize.MATRICES[kind](a, b)
    np.testing.assert_allclose(weights[:b, :a], want, atol=2e-5)
    assert not weights[:, a:].any()
    last = weights[b - 1 : b].repeat(16 - b, 0)
    np.testing.assert_array_equal(weights[b:], last)


def test_a_smooth_resize_is_pillows():
  rng = np.random.default_rng(1)
  image = rng.random((1, 12, 16, 1), np.float32)
  canvas = resample.whole(image)
  sides, zero = np.array([[5, 3]]), np.zeros(1, int)
  made = resample.resized(canvas, sides, ("smooth",), which=zero, shape=(6, 7))
  picture = PIL.Image.fromarray(image[0, ..., 0])
  want = picture.resize((3, 5), PIL.Image.Resampling.BICUBIC)
  np.testing.assert_allclose(made.image[0, :5, :3, 0], want, atol=1e-5)


def test_each_image_is_resized_in_its_own_way():
  rng = np.random.default_rng(2)
  image = rng.random((2, 8, 8, 3), np.float32)
  canvas = resample.Canvas(image, np.array([[8, 8], [6, 4]]))
  sides, kinds = np.array([[4, 2], [3, 8]]), ("area", "bilinear")
  made = resample.resized(
    canvas, sides, kinds, which=np.array([1, 0]), shape=(8, 8)
  )
  first = resize.images(image[:1], (4, 2), "bilinear")
  np.testing.assert_allclose(made.image[:1, :4, :2], first, atol=1e-5)
  second = resize.images(image[1:, :6, :4], (3, 8), "area")
  np.testing.assert_allclose(made.image[1:, :3], second, atol=1e-5)


def test_what_is_outside_an_image_is_filled_from_it():
  image = np.random.default_rng(3).random((3, 6, 6, 1), np.float32)
  sides = np.array([[4, 6], [6, 5], [2, 1]])
  canvas = resample.Canvas(image, sides)
  for mirrored, mode in ((True, "reflect"), (False, "edge")):
    found = resample.beyond(canvas, mirrored)
    for made, x, (h, w) in zip(found, image, sides, strict=True):
      around = ((0, 6 - h), (0, 6 - w), (0, 0))
      np.testing.assert_array_equal(made, np.pad(x[:h, :w], around, mode))
