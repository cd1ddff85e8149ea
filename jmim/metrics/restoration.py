"""Agreement of two images: PSNR, SSIM, and the arithmetic of LPIPS.

    PSNR = -10 log10 mean (a - b)^2               images in 0 .. 1
    SSIM = mean of (2 m m' + c1)(2 v_ab + c2) / ((m^2 + m'^2 + c1)(v + v' + c2))
           in Gaussian windows of 11 x 11, deviation 1.5
    LPIPS = sum over layers of mean over pixels of w . (u - u')^2,
            u the features of a layer, of length 1 at each pixel

float64 in numpy; LPIPS in JAX.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage

C1, C2 = 0.01**2, 0.03**2


def luma(image: np.ndarray) -> np.ndarray:
  """Y of BT.601 in 16/255 .. 235/255, as restoration papers measure it.

  Args:
    image: [..., 3] RGB in 0 .. 1.
  """
  weights = np.array([65.481, 128.553, 24.966])
  return (image.astype(np.float64) @ weights + 16) / 255


def psnr(a: np.ndarray, b: np.ndarray) -> float:
  """Decibels, infinite for equal images in 0 .. 1."""
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
  v, w, both = (_blur(x) - y for x, y in (
    (a * a, m * m), (b * b, n * n), (a * b, m * n)
  ))  # fmt: skip
  top = (2 * m * n + C1) * (2 * both + C2)
  return float((top / ((m**2 + n**2 + C1) * (v + w + C2))).mean())


# AlexNet as torchvision numbers it: (index, stride, padding, pool before).
ALEX = ((0, 4, 2, False), (3, 1, 2, True), (6, 1, 1, True), (8, 1, 1, False),
        (10, 1, 1, False))  # fmt: skip
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)


def alex_features(p: Mapping[str, jax.Array], x: jax.Array) -> list[jax.Array]:
  """Outputs of the five convolutions (after ReLU) of AlexNet.

  Args:
    p: "features.<i>.weight" [out, in, h, w] and ".bias", torchvision's names.
    x: [b, h, w, 3], already shifted and scaled.
  """
  found = []
  for index, stride, padding, pool in ALEX:
    if pool:
      x = jax.lax.reduce_window(
        x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "VALID"
      )
    x = jax.lax.conv_general_dilated(
      x, p[f"features.{index}.weight"], (stride, stride), [(padding,) * 2] * 2,
      dimension_numbers=("NHWC", "OIHW", "NHWC"), precision="highest",
    )  # fmt: skip
    x = jax.nn.relu(x + p[f"features.{index}.bias"])
    found.append(x)
  return found


def lpips(p: Mapping[str, jax.Array], a: jax.Array, b: jax.Array) -> jax.Array:
  """[b] perceptual distances (Zhang et al. 2018, v0.1, AlexNet).

  Args:
    p: arrays of `alex_features`, and "lin<i>.model.1.weight" [1, c, 1, 1].
    a: [b, h, w, 3] in 0 .. 1, sides of at least 64 pixels.
    b: the same.
  """
  ready = lambda x: (2 * x - 1 - jnp.asarray(SHIFT)) / jnp.asarray(SCALE)  # noqa: E731
  total = 0.0
  pairs = zip(*(alex_features(p, ready(x)) for x in (a, b)), strict=True)
  for i, (u, v) in enumerate(pairs):
    unit = [x / (jnp.linalg.norm(x, axis=-1, keepdims=True) + 1e-10)
            for x in (u, v)]  # fmt: skip
    weight = p[f"lin{i}.model.1.weight"][0, :, 0, 0]
    total += ((unit[0] - unit[1]) ** 2 @ weight).mean((1, 2))
  return total
