import io

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
import scipy.ndimage

from jmim.nn.degrade import corruptions

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0.3, 0.7, (3, 24, 20, 3)).astype(np.float32)
NUMBERS = jnp.array([5, 9, 2])
KEY = jax.random.key(0)


def spoilt(name, severity, images=IMAGES, numbers=NUMBERS):
  make = corruptions.Corruption(name=name, severity=severity)
  return np.asarray(make(jnp.asarray(images), KEY, numbers))


@pytest.mark.parametrize("name", corruptions.NAMES)
def test_a_corruption_is_an_images_own_and_grows_with_its_severity(name):
  made = spoilt(name, 3)
  assert made.min() >= 0 and made.max() <= 1
  alone = spoilt(name, 3, IMAGES[1:2], NUMBERS[1:2])
  np.testing.assert_allclose(alone[0], made[1], atol=1e-6)
  change = [((spoilt(name, s) - IMAGES) ** 2).mean() for s in (1, 3, 5)]
  assert 1e-5 < change[0] < change[1] < change[2]


@pytest.mark.parametrize("severity", [1, 4])
def test_noises_have_their_deviations(severity):
  wide = np.full((1, 64, 64, 3), 0.5, np.float32)
  one = jnp.array([1])
  c = lambda name: corruptions.LEVELS[name][severity - 1]
  # Numbers are cut at 0 and 1; medians of distances are not moved by that.
  away = lambda name: np.median(np.abs(spoilt(name, severity, wide, one) - 0.5))
  np.testing.assert_allclose(
    away("gaussian_noise"), 0.6745 * c("gaussian_noise"), rtol=0.05
  )
  np.testing.assert_allclose(
    away("speckle_noise"), 0.6745 * 0.5 * c("speckle_noise"), rtol=0.05
  )
  shot = spoilt("shot_noise", severity, wide, one)
  counts = shot * c("shot_noise")
  np.testing.assert_allclose(counts, np.round(counts), atol=1e-3)
  np.testing.assert_allclose(shot.mean(), 0.5, atol=0.03)
  hit = spoilt("impulse_noise", severity, wide, one)
  share = c("impulse_noise")
  np.testing.assert_allclose((hit != 0.5).mean(), share, rtol=0.1)
  np.testing.assert_allclose((hit == 1).mean(), share / 2, rtol=0.15)


def test_blur_contrast_brightness_and_jpeg_are_those_of_others():
  blur = spoilt("gaussian_blur", 2)
  wanted = [
    scipy.ndimage.gaussian_filter(
      x.astype(float), (2, 2, 0), mode="mirror", truncate=4
    )
    for x in IMAGES
  ]
  np.testing.assert_allclose(blur, wanted, atol=1e-4)
  mean = IMAGES.mean((1, 2), keepdims=True)
  np.testing.assert_allclose(
    spoilt("contrast", 2), mean + 0.3 * (IMAGES - mean), atol=1e-5
  )
  bright = spoilt("brightness", 1)
  np.testing.assert_allclose(bright.max(-1), IMAGES.max(-1) + 0.1, atol=1e-5)
  shares = lambda x: x / x.max(-1, keepdims=True)
  np.testing.assert_allclose(shares(bright), shares(IMAGES), atol=1e-5)
  black = spoilt("brightness", 1, 0 * IMAGES)
  np.testing.assert_allclose(black, 0.1, atol=1e-6)
  grey = np.repeat(IMAGES[..., :1], 3, -1)
  made = spoilt("jpeg_compression", 1, grey)
  for x, y in zip(grey, made, strict=True):
    file = io.BytesIO()
    PIL.Image.fromarray((255 * x).round().astype(np.uint8)).save(
      file, "jpeg", quality=25
    )
    read = np.asarray(PIL.Image.open(file)) / 255
    assert np.abs(read - y).mean() < 0.01
