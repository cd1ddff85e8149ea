"""Corruptions of a benchmark: by name and severity 1 to 5, on the device.

Of Hendrycks and Dietterich 2019 (ImageNet-C), with its numbers for 224 px,
those that need neither further pictures nor another library:

    gaussian_noise     x + c n
    speckle_noise      x + c x n
    shot_noise         X / c, X ~ Poisson(c x)
    impulse_noise      a share c of all numbers is 0 or 1, as likely
    gaussian_blur      deviation c [pixels]; the border mirrored, not repeated
    contrast           m + c (x - m), m the mean of each channel
    brightness         the greatest channel + c, hue and saturation kept
    jpeg_compression   quality c
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import randomness
from jmim.nn.degrade import jpeg
from jmim.nn.degrade import kernels
from jmim.nn.degrade import noise

Array = jax.Array
LEVELS: Mapping[str, tuple[float, ...]] = {
  "gaussian_noise": (0.08, 0.12, 0.18, 0.26, 0.38),
  "speckle_noise": (0.15, 0.2, 0.35, 0.45, 0.6),
  "shot_noise": (60, 25, 12, 5, 3),
  "impulse_noise": (0.03, 0.06, 0.09, 0.17, 0.27),
  "gaussian_blur": (1, 2, 3, 4, 6),
  "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
  "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
  "jpeg_compression": (25, 18, 15, 10, 7),
}
NAMES = tuple(LEVELS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Corruption:
  """One of them, of one severity.

  Attributes:
    name: one of NAMES.
    severity: 1 to 5.
  """

  name: str
  severity: int

  def __call__(self, images: Array, key: Array, numbers: Array) -> Array:
    """Images [b, h, w, c] in 0 .. 1, spoilt and clipped.

    Args:
      images: [b, h, w, c] in 0 .. 1.
      key: of what is drawn.
      numbers: [b]; what is drawn for an image is a function of its own.
    """
    c = LEVELS[self.name][self.severity - 1]
    normal = randomness.normals(key, numbers, images.shape[1:])
    made = getattr(self, f"_{self.name}")(images, c, normal)
    return jnp.clip(made, 0.0, 1.0)

  def _gaussian_noise(self, x, c, normal):
    return x + c * normal(0)

  def _speckle_noise(self, x, c, normal):
    return x + c * x * normal(0)

  def _shot_noise(self, x, c, normal):
    return noise.poisson(x, jnp.full(len(x), float(c)), normal(0))

  def _impulse_noise(self, x, c, normal):
    hit = jax.scipy.stats.norm.cdf(normal(0)) < c
    return jnp.where(hit, (normal(1) > 0).astype(x.dtype), x)

  def _gaussian_blur(self, x, c, normal):
    del normal
    # What lies beyond four deviations, or beyond a mirrored image, is nothing.
    reach = min(round(4 * c), min(x.shape[1:3]) - 1)
    sigma = jnp.full((len(x), 2), float(c))
    blur = kernels.gaussian(sigma, jnp.zeros(len(x)), 2 * reach + 1)
    return kernels.apply(x, blur)

  def _contrast(self, x, c, normal):
    del normal
    mean = x.mean((1, 2), keepdims=True)
    return mean + c * (x - mean)

  def _brightness(self, x, c, normal):
    del normal
    value = x.max(-1, keepdims=True)
    more = jnp.minimum(value + c, 1.0)
    # Black has no hue: it becomes grey.
    return jnp.where(value > 0, x * more / jnp.where(value > 0, value, 1), more)

  def _jpeg_compression(self, x, c, normal):
    del normal
    return jpeg.apply(x, jnp.full(len(x), np.float32(c)))
