"""Noise, light and levels of images [b, h, w, c] in 0 .. 1.

Numbers per image are [b]. Nothing is clipped unless it is said.
"""

import jax
import jax.numpy as jnp
import numpy as np

# Luma of BT.601, as grey images are made of colours.
LUMA = (0.299, 0.587, 0.114)
_SMALL_RATE = 12.0
_COUNTED = 48  # P(X > 48) < 1e-13 at that rate


def each(x: jax.Array) -> jax.Array:
  """[b, ...] -> [b, 1, 1, ...]: of each pixel."""
  return x.reshape(x.shape[0], 1, 1, *x.shape[1:] or (1,))


def gaussian(
  image: jax.Array,
  sigma: jax.Array,
  normal: jax.Array,
  alike: jax.Array | None = None,
) -> jax.Array:
  """image + sigma n.

  Args:
    image: of any range.
    sigma: [b] standard deviation.
    normal: n ~ N(0, 1), of the image's shape.
    alike: bool [b]: the same noise in all channels, that of the first.
  """
  if alike is not None:
    normal = jnp.where(each(alike), normal[..., :1], normal)
  return image + each(sigma) * normal


def poisson_count(rate: jax.Array, normal: jax.Array) -> jax.Array:
  """Poisson numbers, by the inverse of their distribution.

  The least k with P(X <= k) >= Phi(n): counted one by one for rates below 12;
  above, by the expansion of Cornish and Fisher to 1 / sqrt(rate), rounded,
  which is off by one for some 1 in 100.

  Args:
    rate: at least 0.
    normal: n ~ N(0, 1), of the same shape: what is drawn.
  """
  n = normal
  low = jnp.clip(rate, 0.0, _SMALL_RATE)
  below = jax.scipy.stats.norm.cdf(n)

  def count(k, state):
    number, share, sum_ = state
    number = number + (below > sum_)
    share = share * low / (k + 1.0)
    return number, share, sum_ + share

  first = jnp.exp(-low)
  start = (jnp.zeros_like(low), first, first)
  number, _, _ = jax.lax.fori_loop(0, _COUNTED, count, start)
  root = jnp.sqrt(jnp.maximum(rate, _SMALL_RATE))
  far = root**2 + root * n + (n**2 - 1) / 6 - (n**3 - n) / (72 * root)
  many = jnp.maximum(jnp.round(far), 0.0)
  return jnp.where(rate < _SMALL_RATE, number, many)


def poisson(
  image: jax.Array,
  peak: jax.Array,
  normal: jax.Array,
  strength: jax.Array | float = 1.0,
  alike: jax.Array | None = None,
) -> jax.Array:
  """Shot noise: image + strength (X / peak - image), X ~ Poisson(peak image).

  Args:
    image: in 0 .. 1.
    peak: [b] mean count of a white pixel.
    normal: as of `poisson_count`, of the image's shape.
    strength: [b] factor of the noise.
    alike: bool [b]: the noise of the grey image in all channels.
  """
  peak = each(peak)
  noise = poisson_count(image * peak, normal) / peak - image
  if alike is not None:
    seen = grey(image)[..., :1]
    one = poisson_count(seen * peak, normal[..., :1]) / peak - seen
    noise = jnp.where(each(alike), one, noise)
  return image + each(jnp.broadcast_to(strength, image.shape[:1])) * noise


def grey(image: jax.Array) -> jax.Array:
  """Luma in all channels; images of one channel as they are."""
  if image.shape[-1] == 1:
    return image
  luma = (image * jnp.asarray(LUMA)).sum(-1, keepdims=True)
  return jnp.broadcast_to(luma, image.shape)


def gain(image: jax.Array, factor: jax.Array) -> jax.Array:
  """Each channel times its factor [b, c], clipped to 0 .. 1."""
  return jnp.clip(image * factor[:, None, None], 0, 1)


def quantise(image: jax.Array, levels: int = 256) -> jax.Array:
  """Clipped to 0 .. 1 and rounded to so many levels; 256: as files are."""
  top = levels - 1
  return jnp.round(jnp.clip(image, 0, 1) * top) / top


def smooth_field(values: jax.Array, sides: tuple[int, int]) -> jax.Array:
  """[b, *sides] between values [b, m, n] at the corners: bilinear.

  The outermost values are at the outermost pixels.
  """
  y, x = (
    _between(n, side) for n, side in zip(values.shape[1:], sides, strict=True)
  )
  return jnp.einsum("ym,xn,bmn->byx", y, x, values, precision="highest")


def _between(n: int, side: int) -> np.ndarray:
  """[side, n] float32 weights of a line between n values."""
  place = np.linspace(0, n - 1, side)
  distance = abs(np.arange(n) - place[:, None])
  return np.maximum(1 - distance, 0.0).astype(np.float32)


def darkened(
  image: jax.Array, light: jax.Array, power: jax.Array, field: jax.Array
) -> jax.Array:
  """Low light: light field image^power.

  Args:
    image: in 0 .. 1.
    light: [b] factor of all pixels.
    power: [b] gamma, above 0.
    field: [b, h, w] illumination of a pixel.
  """
  image = jnp.maximum(image, 1e-6)  # the derivative at 0 is not finite
  return each(light) * field[..., None] * image ** each(power)
