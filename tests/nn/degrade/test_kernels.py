import cv2
import jax
import numpy as np
import scipy.ndimage
import scipy.special

from jmim.nn.degrade import kernels


def test_images_are_correlated_as_by_opencv():
  rng = np.random.default_rng(0)
  image = rng.random((2, 9, 12, 3), np.float32)
  taps = rng.random((2, 5, 5), np.float32)
  found = jax.jit(kernels.apply)(image, taps)
  border = cv2.BORDER_REFLECT_101
  for one, x, k in zip(found, image, taps, strict=True):
    want = cv2.filter2D(x, -1, k, borderType=border)
    np.testing.assert_allclose(one, want, atol=2e-5)


def test_round_gaussians_are_those_of_opencv():
  sigma, k = np.array([0.8, 2.5, 0.05], np.float32), 9
  both, angle = np.stack([sigma, sigma], 1), np.array([0.0, 1.0, 2.0], "f4")
  for found, s in zip(kernels.gaussian(both, angle, k), sigma, strict=True):
    row = cv2.getGaussianKernel(k, float(s))
    np.testing.assert_allclose(found, row * row.T, atol=1e-6)


def test_long_kernels_are_turned_and_shaped():
  sigma, angle = np.array([[3.0, 0.7]], "f4"), np.array([0.6], "f4")
  (y, x), shape = kernels.grid(11), np.array([1.7], "f4")
  c, s = np.cos(0.6), np.sin(0.6)
  turn = np.array([[c, -s], [s, c]])
  inverse = turn @ np.diag([3.0**-2, 0.7**-2]) @ turn.T
  d2 = np.einsum("iyx,ij,jyx->yx", [x, y], inverse, [x, y])
  for made, want in (
    (kernels.gaussian(sigma, angle, 11, shape), np.exp(-0.5 * d2**1.7)),
    (kernels.plateau(sigma, angle, 11, shape), 1 / (1 + d2**1.7)),
  ):
    np.testing.assert_allclose(made[0], want / want.sum(), atol=1e-6)


def test_lines_are_means_of_points_in_a_row():
  length = np.array([1, 5, 4, 5])
  angle = np.array([0.7, 0.0, np.pi / 2, np.pi / 4], "f4")
  dot, flat, upright, skew = np.asarray(kernels.line(length, angle, 9))
  one = np.zeros((9, 9))
  one[4, 4] = 1
  np.testing.assert_allclose(dot, one, atol=1e-6)
  want = scipy.ndimage.uniform_filter1d(one, 5, axis=1)
  np.testing.assert_allclose(flat, want, atol=1e-6)
  # Four points lie between pixels, half in each of two.
  want = [0, 0, 1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8, 0, 0]
  np.testing.assert_allclose(upright[:, 4], want, atol=1e-6)
  # Downward to the right, alike when turned by half a circle.
  np.testing.assert_allclose(skew, skew.T, atol=1e-6)
  np.testing.assert_allclose(skew, skew[::-1, ::-1], atol=1e-6)
  assert skew[2, 2] > 0 and skew[2, 6] == 0 and abs(skew.sum() - 1) < 1e-6


def test_low_passes_are_bessel_functions():
  x = np.linspace(-60, 60, 241).astype("f4")
  found = kernels.bessel_j1(x)
  np.testing.assert_allclose(found, scipy.special.j1(x), atol=3e-6)
  made = kernels.sinc(np.array([1.3], "f4"), 7)[0]
  r = np.hypot(*kernels.grid(7))
  with np.errstate(invalid="ignore", divide="ignore"):
    want = 1.3 * scipy.special.j1(1.3 * r) / (2 * np.pi * r)
  want[3, 3] = 1.3**2 / (4 * np.pi)
  np.testing.assert_allclose(made, want / want.sum(), atol=2e-6)


def test_a_kernel_may_be_cut_to_a_smaller_square():
  whole = kernels.gaussian(np.full((2, 2), 2.0, "f4"), np.zeros(2, "f4"), 9)
  small, same = kernels.cut(whole, np.array([5, 9]))
  want = cv2.getGaussianKernel(5, 2.0)
  np.testing.assert_allclose(small[2:7, 2:7], want * want.T, atol=1e-6)
  assert not small[:2].any() and abs(small.sum() - 1) < 1e-6
  np.testing.assert_allclose(same, whole[1], atol=1e-7)
