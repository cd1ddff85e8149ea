"""How far features move when an image is noisier, or darker."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jmim.core import randomness

NOISES = (0.01, 0.02, 0.05, 0.1)
GAIN = 0.7


def distances(
  features: Callable[[jax.Array], jax.Array],
  images: jax.Array,
  key: jax.Array,
  numbers: jax.Array,
) -> dict[str, jax.Array]:
  """sum |f(x') - f(x)| / sum |f(x)| of each image.

  Args:
    features: images [b, h, w, c] -> [b, ...].
    images: [b, h, w, c] in 0 .. 1.
    key: of the noise.
    numbers: [b] of the examples; each has noise of its own.

  Returns:
    noise_<sigma>, x' = x + sigma n for each of NOISES, and dark, x' = GAIN x;
    [b] float32. Nothing is clipped: noise is not to change the brightness.
  """
  keys = randomness.numbered(key, numbers)
  normal = jax.vmap(lambda k: jax.random.normal(k, images.shape[1:]))(keys)
  first = features(images).astype(jnp.float32)
  inner = tuple(range(1, first.ndim))
  size = jnp.abs(first).sum(inner)

  def distance(changed):
    moved = features(changed).astype(jnp.float32) - first
    return jnp.abs(moved).sum(inner) / size

  noisy = {f"noise_{s}": distance(images + s * normal) for s in NOISES}
  return noisy | {"dark": distance(GAIN * images)}
