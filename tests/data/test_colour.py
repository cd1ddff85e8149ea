"""Changes of colour against Pillow, colorsys and scipy."""

import colorsys

import jax
import numpy as np
import pytest
from PIL import Image
from PIL import ImageEnhance
from scipy import ndimage

from jmim.data import colour
from jmim.data import randaugment


def _images(n=3, h=17, w=21, seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (n, h, w, 3)).astype("f4")


_FACTORS = np.array([0.3, 1.0, 1.7], "f4")


@pytest.mark.parametrize(
  ("function", "enhance", "limit"),
  [
    (colour.brightness, ImageEnhance.Brightness, 1.01),
    (colour.saturation, ImageEnhance.Color, 1.6),
    (colour.contrast, ImageEnhance.Contrast, 1.6),
    (randaugment.sharpness, ImageEnhance.Sharpness, 1.6),
    (randaugment._contrast, ImageEnhance.Contrast, 1.01),
  ],
)
def test_changes_are_those_of_pillow(function, enhance, limit):
  images = _images()
  found = np.asarray(jax.jit(function)(images, _FACTORS))
  for image, factor, result in zip(images, _FACTORS, found, strict=True):
    exact = enhance(Image.fromarray(image.astype("u1"))).enhance(float(factor))
    # Pillow rounds to whole levels in between.
    assert np.abs(result - np.asarray(exact)).max() < limit


def test_hue_is_that_of_colorsys():
  images, shifts = _images(h=4, w=5), np.array([0.0, 0.3, -0.45], "f4")
  images[:, 0] = images[:, 0, :, :1]  # grey has no hue
  found = np.asarray(jax.jit(colour.hue)(images, shifts))
  for image, shift, result in zip(images, shifts, found, strict=True):
    for pixel, out in zip(
      image.reshape(-1, 3), result.reshape(-1, 3), strict=True
    ):
      h, s, v = colorsys.rgb_to_hsv(*(pixel.astype(float) / 255))
      exact = 255 * np.array(colorsys.hsv_to_rgb((h + shift) % 1, s, v))
      np.testing.assert_allclose(out, exact, atol=0.02)


def test_jitter_applies_the_changes_in_the_order_given():
  images = _images()
  factors = np.array([[0.6, 1.3, 0.4, 0.1]] * 3, "f4")
  order = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
  found = np.asarray(jax.jit(colour.jittered)(images, factors, order))
  changes = [colour.brightness, colour.contrast, colour.saturation, colour.hue]
  for i in range(3):
    exact = images[i : i + 1]
    for k in order[i]:
      exact = changes[k](exact, factors[:1, k])
    np.testing.assert_allclose(found[i], np.asarray(exact)[0], atol=0.05)


def test_blur_is_that_of_scipy():
  images, sigma = _images(), np.array([0.3, 1.0, 1.4], "f4")
  found = np.asarray(jax.jit(colour.blur, static_argnums=2)(images, sigma, 4))
  for image, s, result in zip(images, sigma, found, strict=True):
    exact = ndimage.gaussian_filter(
      image, (s, s, 0), mode="mirror", radius=(4, 4, 0)
    )
    np.testing.assert_allclose(result, exact, atol=0.02)
