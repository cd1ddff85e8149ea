import jax
import numpy as np
import pytest
import scipy.signal
import skimage.metrics

from jmim.metrics import restoration


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


def weights(seed=0):
  """AlexNet's shapes, with random numbers."""
  rng, found = np.random.default_rng(seed), {}
  shapes = {
    0: (64, 3, 11, 11),
    3: (192, 64, 5, 5),
    6: (384, 192, 3, 3),
    8: (256, 384, 3, 3),
    10: (256, 256, 3, 3),
  }
  for i, (index, shape) in enumerate(shapes.items()):
    scale = np.sqrt(2 / np.prod(shape[1:]))
    found[f"features.{index}.weight"] = scale * rng.standard_normal(shape)
    found[f"features.{index}.bias"] = 0.1 * rng.standard_normal(shape[0])
    found[f"lin{i}.model.1.weight"] = rng.random((1, shape[0], 1, 1))
  return {n: x.astype(np.float32) for n, x in found.items()}


def slow_lpips(p, a, b):
  """The definition in float64 for one pair, each kernel by itself."""
  shift, scale = np.array([-0.030, -0.088, -0.188]), [0.458, 0.448, 0.450]
  total = 0.0
  planes = [np.moveaxis((2 * x - 1 - shift) / scale, -1, 0) for x in (a, b)]
  layers = ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1))
  for i, (index, stride, padding) in enumerate(layers):
    if index in (3, 6):
      planes = [
        np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))[
          :, ::2, ::2
        ].max((-2, -1))
        for x in planes
      ]
    w, bias = p[f"features.{index}.weight"], p[f"features.{index}.bias"]
    new = []
    for x in planes:
      x = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2))
      view = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (1, 2))[
        :, ::stride, ::stride
      ]
      y = np.einsum("chwkl,ockl->ohw", view, w.astype(float), optimize=True)
      new.append(np.maximum(y + bias[:, None, None], 0))
    planes = new
    unit = [x / (np.linalg.norm(x, axis=0) + 1e-10) for x in planes]
    line = p[f"lin{i}.model.1.weight"][0, :, 0, 0]
    total += np.einsum("chw,c->hw", (unit[0] - unit[1]) ** 2, line).mean()
  return total


def test_lpips_is_its_definition():
  p = weights()
  a, b = pair(2, (64, 70, 3))
  got = jax.jit(restoration.lpips)(
    p, np.stack([a, a]).astype("f4"), np.stack([b, a]).astype("f4")
  )
  np.testing.assert_allclose(got[0], slow_lpips(p, a, b), rtol=1e-4)
  assert got[1] == 0


def test_the_window_is_a_normalised_gaussian():
  impulse = np.zeros((31, 31))
  impulse[15, 15] = 1
  window = scipy.signal.windows.gaussian(11, 1.5)
  want = np.outer(window, window) / window.sum() ** 2
  np.testing.assert_allclose(restoration._blur(impulse)[5:16, 5:16], want)
