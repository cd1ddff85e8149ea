"""Random changes of colour and sharpness, inside the step.

Pure functions of images [b, h, w, c] (float32, 0 ... 255) and of per-image
factors [b]. Arithmetic as torchvision's on tensors; nothing is rounded to whole
levels in between, as an 8-bit image would be.
"""

import jax
import jax.numpy as jnp

from jmim.core import randomness

# Shares of red, green and blue in grey (ITU-R 601-2).
_LUMA = (0.299, 0.587, 0.114)


def grey(images: jax.Array) -> jax.Array:
  """Luma in every channel; images of one channel as they are."""
  if images.shape[-1] == 1:
    return images
  luma = images @ jnp.asarray(_LUMA)
  return jnp.broadcast_to(luma[..., None], images.shape)


def blend(images: jax.Array, other: jax.Array, factor: jax.Array) -> jax.Array:
  """factor * images + (1 - factor) * other, clipped; factor [b]."""
  factor = factor[:, None, None, None]
  return jnp.clip(factor * images + (1 - factor) * other, 0, 255)


def brightness(images: jax.Array, factor: jax.Array) -> jax.Array:
  """0: black, 1: as it is."""
  return blend(images, jnp.zeros_like(images), factor)


def contrast(images: jax.Array, factor: jax.Array) -> jax.Array:
  """0: the mean luma everywhere, 1: as it is."""
  mean = grey(images)[..., :1].mean((1, 2, 3), keepdims=True)
  return blend(images, jnp.broadcast_to(mean, images.shape), factor)


def saturation(images: jax.Array, factor: jax.Array) -> jax.Array:
  """0: grey, 1: as it is."""
  return blend(images, grey(images), factor)


def hue(images: jax.Array, shift: jax.Array) -> jax.Array:
  """Turns the hue by `shift` [b] of a full circle; grey stays grey."""
  if images.shape[-1] == 1:
    return images
  high = images.max(-1)
  chroma = high - images.min(-1)
  safe = jnp.where(chroma > 0, chroma, 1.0)
  r, g, b = jnp.moveaxis(images, -1, 0)
  # Not `high == r`: a compiler may compute both anew with other roundings. An
  # inequality that flips does no harm, the branches meet where colours tie.
  sixth = jnp.where(
    (r >= g) & (r >= b),
    (g - b) / safe,
    jnp.where(g >= b, 2 + (b - r) / safe, 4 + (r - g) / safe),
  )
  sixth = sixth + 6 * shift[:, None, None]
  # Each channel is a trapezium of the hue: k = 5, 3, 1 (HSV to RGB).
  k = (jnp.asarray([5.0, 3.0, 1.0]) + sixth[..., None]) % 6
  ramp = jnp.clip(jnp.minimum(k, 4 - k), 0, 1)
  return high[..., None] - chroma[..., None] * ramp


def jitter(
  key: jax.Array, images: jax.Array, strength: tuple[float, ...]
) -> jax.Array:
  """torchvision's ColorJitter: four changes in an order drawn per image.

  Args:
    key: drawn from.
    images: [b, h, w, c].
    strength: brightness, contrast, saturation (factors in 1 -+ strength, at
      least 0) and hue (shift in -+ strength).
  """
  b = len(images)
  keys = randomness.Keys(key)
  spread = jnp.asarray(strength)
  low = jnp.maximum(0, 1 - spread).at[3].set(-spread[3])
  high = (1 + spread).at[3].set(spread[3])
  factors = low + (high - low) * jax.random.uniform(keys("factors"), (b, 4))
  order = jax.random.permutation(
    keys("order"), jnp.tile(jnp.arange(4), (b, 1)), axis=1, independent=True
  )
  return jittered(images, factors, order)


def jittered(
  images: jax.Array, factors: jax.Array, order: jax.Array
) -> jax.Array:
  """The changes of `jitter`, with factors and order that were drawn before.

  Args:
    images: [b, h, w, c].
    factors: [b, 4] of brightness, contrast, saturation, hue.
    order: [b, 4], a permutation of 0 ... 3: which change comes when.
  """
  for position in range(4):
    # All four are computed and one is kept: cheap beside a model.
    changed = images
    for i, change in enumerate((brightness, contrast, saturation, hue)):
      chosen = (order[:, position] == i)[:, None, None, None]
      changed = jnp.where(chosen, change(images, factors[:, i]), changed)
    images = changed
  return images


def blur(images: jax.Array, sigma: jax.Array, radius: int) -> jax.Array:
  """Gaussian blur, edges mirrored.

  Args:
    images: [b, h, w, c].
    sigma: [b] standard deviations, in pixels.
    radius: the kernel has 2 radius + 1 taps.
  """
  taps = jnp.arange(-radius, radius + 1)
  weights = jnp.exp(-0.5 * (taps / sigma[:, None]) ** 2)
  weights = weights / weights.sum(1, keepdims=True)
  for axis in (1, 2):
    pads = [(0, 0)] * 4
    pads[axis] = (radius, radius)
    padded = jnp.pad(images, pads, mode="reflect")
    n = images.shape[axis]
    images = sum(
      weights[:, i, None, None, None]
      * jax.lax.slice_in_dim(padded, i, i + n, axis=axis)
      for i in range(2 * radius + 1)
    )
  return images


def sometimes(
  key: jax.Array, probability: float, changed: jax.Array, images: jax.Array
) -> jax.Array:
  """`changed` for a random share of the images, else as they were."""
  coin = jax.random.bernoulli(key, probability, (len(images), 1, 1, 1))
  return jnp.where(coin, changed, images)
