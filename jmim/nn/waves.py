"""Numbers as waves of doubling frequencies (Mildenhall et al. 2020)."""

import jax
import jax.numpy as jnp


def waves(x: jax.Array, frequencies: int, scale: float = 1.0) -> jax.Array:
  """[..., 2 d k]: sin(scale 2^j x), then cos, j = 0 .. k - 1; float32.

  Args:
    x: [..., d]; of each number all frequencies stand together.
    frequencies: k.
    scale: of all; pi, say.
  """
  powers = scale * 2.0 ** jnp.arange(frequencies)
  angles = (x.astype(jnp.float32)[..., None] * powers).reshape(
    *x.shape[:-1], -1
  )
  return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
