import functools

import jax
import numpy as np
import pytest
import scipy.signal
import skimage.metrics

from jmim.metrics import restoration
from jmim.nn.frozen import lpips as perceptual


def pair(seed=0, shape=(24, 31, 3)):
  rng = np.random.default_rng(seed)
  a = rng.random(shape)
  return a, np.clip(a + rng.normal(0, 0.1, shape), 0, 1)


def test_psnr_equals_scikit_image():
  a, b = pair()
  want = skimage.metrics.peak_signal_noise_ratio(a, b, data_range=1.0)
  np.testing.assert_allclose(restoration.psnr(a, b), want, rtol=1e-10)
  assert restoration.psnr(a, a) == np.inf


@pytest.mark.parametrize("shape", [(24, 31, 3), (11, 11, 1), (20, 16)])
def test_ssim_equals_scikit_image_with_the_gaussian_window(shape):
  a, b = pair(1, shape)
  axis = {"channel_axis": -1} if len(shape) == 3 else {}
  _, full = skimage.metrics.structural_similarity(
    a,
    b,
    data_range=1.0,
    gaussian_weights=True,
    sigma=1.5,
    full=True,
    use_sample_covariance=False,
    **axis,
  )
  # The window must fit: theirs mirrors at the border, and then cuts it.
  want = full[5:-5, 5:-5].mean()
  np.testing.assert_allclose(restoration.ssim(a, b), want, rtol=1e-5)
  np.testing.assert_allclose(restoration.ssim(a, a), 1, rtol=1e-12)


def test_luma_of_black_white_and_grey():
  ends = restoration.luma(np.array([[0.0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5]]))
  np.testing.assert_allclose(ends * 255, [16, 235, 125.5], atol=1e-3)


def test_the_window_is_a_normalised_gaussian():
  impulse = np.zeros((31, 31))
  impulse[15, 15] = 1
  window = scipy.signal.windows.gaussian(11, 1.5)
  want = np.outer(window, window) / window.sum() ** 2
  np.testing.assert_allclose(restoration._blur(impulse)[5:16, 5:16], want)


def test_lpips_takes_images_in_0_to_1():
  p = perceptual.random(jax.random.key(0), perceptual.ALEX)
  a, b = (x[None].astype(np.float32) for x in pair(2, (64, 64, 3)))
  pairs = [(a, b), (2 * a - 1, 2 * b - 1)]
  distance = functools.partial(perceptual.distance, perceptual.ALEX)
  got, want = (
    jax.jit(fn)(p, *images)
    for fn, images in zip((restoration.lpips, distance), pairs, strict=True)
  )
  np.testing.assert_allclose(got, want, rtol=1e-5)
  assert got[0] > 0
