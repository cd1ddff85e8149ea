"""Blur: kernels of several shapes, one for each image, and their application.

Kernels [b, k, k] sum to 1, k is odd, the middle is at (k - 1) / 2; x runs along
the columns, y along the rows, downward, and angles turn from x to y. As they
are correlated with the image, a kernel is what one bright pixel becomes, turned
by half a circle; all of those here look the same then.
"""

import jax
import jax.numpy as jnp
import numpy as np


def grid(k: int) -> tuple[np.ndarray, np.ndarray]:
  """(y, x), each [k, k], from the middle [pixels]."""
  reach = np.arange(k) - (k - 1) / 2
  return np.meshgrid(reach, reach, indexing="ij")


def _normalised(kernels: jax.Array) -> jax.Array:
  return kernels / kernels.sum((1, 2), keepdims=True)


def cut(kernels: jax.Array, side: jax.Array) -> jax.Array:
  """Kernels without what is outside a square of odd sides [b] [pixels]."""
  y, x = grid(kernels.shape[-1])
  reach = np.maximum(abs(y), abs(x))
  inside = reach <= ((side - 1) / 2)[:, None, None]
  return _normalised(jnp.where(inside, kernels, 0.0))


def _distance(sigma: jax.Array, angle: jax.Array, k: int) -> jax.Array:
  """[b, k, k] squared distance in standard deviations along turned axes."""
  y, x = grid(k)
  c, s = (f(angle)[:, None, None] for f in (jnp.cos, jnp.sin))
  along, across = c * x + s * y, c * y - s * x
  wide, narrow = sigma[:, 0, None, None], sigma[:, 1, None, None]
  return (along / wide) ** 2 + (across / narrow) ** 2


def gaussian(
  sigma: jax.Array,
  angle: jax.Array,
  k: int,
  shape: jax.Array | float = 1.0,
) -> jax.Array:
  """Gaussian kernels, exp(-d^(2 shape) / 2); d: distance in deviations.

  Args:
    sigma: [b, 2] standard deviations along the axes [pixels]; equal: isotropic.
    angle: [b] of the first axis [radians].
    k: side.
    shape: [b] or one number; 1: a Gaussian, larger: flatter with steep sides
      (the generalised Gaussian of Real-ESRGAN).
  """
  shape = jnp.broadcast_to(shape, angle.shape)[:, None, None]
  power = jnp.maximum(_distance(sigma, angle, k), 1e-12) ** shape
  # The nearest tap has weight 1 before they are normalised: a blur of almost
  # no width would otherwise be 0 / 0.
  power = power - power.min((1, 2), keepdims=True)
  return _normalised(jnp.exp(-0.5 * power))


def plateau(
  sigma: jax.Array, angle: jax.Array, k: int, shape: jax.Array
) -> jax.Array:
  """1 / (1 + d^(2 shape)), arguments as of `gaussian` (Real-ESRGAN)."""
  power = jnp.maximum(_distance(sigma, angle, k), 1e-12)
  return _normalised(1 / (1 + power ** shape[:, None, None]))


def line(length: jax.Array, angle: jax.Array, k: int) -> jax.Array:
  """Motion: so many points in a row, each shared by its four neighbours.

  Args:
    length: [b] whole numbers of points, 1 to k, a pixel apart.
    angle: [b] of the line [radians].
    k: side.
  """
  number = np.arange(k)
  along = number - (length[:, None] - 1) / 2  # [b, k]
  counts = number < length[:, None]
  reach = np.arange(k) - (k - 1) / 2
  near = lambda at: jnp.maximum(1 - abs(reach - at[..., None]), 0.0)
  x = near(along * jnp.cos(angle)[:, None])  # [b, k points, k taps]
  y = near(along * jnp.sin(angle)[:, None])
  return _normalised(jnp.einsum("bn,bni,bnj->bij", 1.0 * counts, y, x))


def bessel_j1(x: jax.Array) -> jax.Array:
  """J_1(x), |x| < 100, as the mean of cos(t - x sin t) over a full circle.

  The integrand is periodic and smooth, so equal steps converge beyond
  float32.
  """
  t = np.linspace(0, 2 * np.pi, 160, endpoint=False)
  return jnp.cos(t - x[..., None] * np.sin(t)).mean(-1)


def sinc(cutoff: jax.Array, k: int) -> jax.Array:
  """Circular low pass: what rings around edges.

  w J_1(w r) / (2 pi r), in the middle w^2 / (4 pi).

  Args:
    cutoff: [b] w, greatest frequency left [radians per pixel], up to pi.
    k: side.
  """
  y, x = grid(k)
  r = np.hypot(y, x)
  w = cutoff[:, None, None]
  away = w * bessel_j1(w * r) / (2 * np.pi * np.maximum(r, 1e-6))
  return _normalised(jnp.where(r == 0, w**2 / (4 * np.pi), away))


def apply(image: jax.Array, kernels: jax.Array) -> jax.Array:
  """Each image correlated with its kernel, the border mirrored.

  The border pixel itself is not repeated, as in OpenCV's `filter2D`. By
  Fourier transforms, whose cost does not depend on k.

  Args:
    image: [b, h, w, c].
    kernels: [b, k, k].
  """
  b, h, w, _ = image.shape
  k = kernels.shape[-1]
  r = k // 2
  around = ((0, 0), (r, r), (r, r), (0, 0))
  padded = jnp.pad(image.astype(jnp.float32), around, mode="reflect")
  sides = (h + 2 * r, w + 2 * r)
  seen = jnp.fft.rfft2(padded, axes=(1, 2))
  kernel = jnp.fft.rfft2(kernels, s=sides, axes=(1, 2))
  product = seen * jnp.conj(kernel)[..., None]
  # Sums that wrap around are those that begin beyond the image.
  return jnp.fft.irfft2(product, s=sides, axes=(1, 2))[:, :h, :w]
