"""Agreement of two images: PSNR, SSIM, and the arithmetic of LPIPS.

    PSNR = -10 log10 mean (a - b)^2               images in 0 .. 1
    SSIM = mean of (2 m m' + c1)(2 v_ab + c2) / ((m^2 + m'^2 + c1)(v + v' + c2))
           in Gaussian windows of 11 x 11, std 1.5
    LPIPS: see `jmim.nn.frozen.lpips`

float64 in numpy; LPIPS in JAX.
"""

from collections.abc import Mapping

import jax
import numpy as np
import scipy.ndimage

from jmim.nn.frozen import lpips as perceptual

C1, C2 = 0.01**2, 0.03**2
NETWORKS = {"alex": perceptual.ALEX, "vgg": perceptual.VGG16}


def luma(image: np.ndarray) -> np.ndarray:
  """Y of BT.601 in 16/255 .. 235/255, as restoration papers measure it.

  Args:
    image: [..., 3] RGB in 0 .. 1.
  """
  weights = np.array([65.481, 128.553, 24.966])
  return (image.astype(np.float64) @ weights + 16) / 255


def psnr(a: np.ndarray, b: np.ndarray) -> float:
  """Decibels between images of one shape in 0 .. 1; infinite if equal."""
  error = np.mean((a.astype(np.float64) - b) ** 2)
  with np.errstate(divide="ignore"):
    return float(-10 * np.log10(error))


def _blur(x: np.ndarray) -> np.ndarray:
  """Gaussian window over the first two axes, only where it fits: 'valid'."""
  r = np.arange(-5, 6)
  window = np.exp(-(r**2) / (2 * 1.5**2))
  window /= window.sum()
  for axis in (0, 1):
    x = scipy.ndimage.correlate1d(x, window, axis)
  return x[5:-5, 5:-5]


def ssim(a: np.ndarray, b: np.ndarray) -> float:
  """Mean over windows and channels (Wang et al. 2004); images in 0 .. 1.

  Args:
    a: [h, w] or [h, w, c], sides of at least 11 pixels.
    b: the same.
  """
  a, b = a.astype(np.float64), b.astype(np.float64)
  m, n = _blur(a), _blur(b)
  v, w, both = (
    _blur(x) - y for x, y in ((a * a, m * m), (b * b, n * n), (a * b, m * n))
  )
  top = (2 * m * n + C1) * (2 * both + C2)
  return float((top / ((m**2 + n**2 + C1) * (v + w + C2))).mean())


def lpips(
  p: Mapping[str, jax.Array],
  a: jax.Array,
  b: jax.Array,
  network: str = "alex",
) -> jax.Array:
  """[b] perceptual distances (Zhang et al. 2018, v0.1).

  Args:
    p: arrays of the network and its layers, see `nn.frozen.lpips`.
    a: [b, h, w, 3] in 0 .. 1, sides of at least 64 pixels (VGG16: 16).
    b: the same.
    network: one of NETWORKS.
  """
  return perceptual.distance(NETWORKS[network], p, 2 * a - 1, 2 * b - 1)
