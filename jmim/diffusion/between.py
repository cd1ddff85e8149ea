"""Points between two codes or two states of noise."""

import jax
import jax.numpy as jnp


def lerp(a: jax.Array, b: jax.Array, share: jax.Array | float) -> jax.Array:
  """(1 - share) a + share b."""
  return (1 - share) * a + share * b


def slerp(a: jax.Array, b: jax.Array, share: jax.Array | float) -> jax.Array:
  """Along the great circle of each example; keeps the length of noise.

      (sin((1 - s) w) a + sin(s w) b) / sin w,   cos w = <a, b> / (|a| |b|)

  Shoemake 1985. Where both point the same way (sin w < 1e-4) it is `lerp`.

  Args:
    a: [b, ...].
    b: [b, ...].
    share: s; 0 is a, 1 is b.

  Returns:
    [b, ...].
  """
  axes = tuple(range(1, a.ndim))
  total = lambda x: x.sum(axes, keepdims=True)
  cosine = total(a * b) / jnp.sqrt(total(a**2) * total(b**2))
  angle = jnp.arccos(jnp.clip(cosine, -1.0, 1.0))
  sine = jnp.sin(angle)
  small = sine < 1e-4
  safe = jnp.where(small, 1.0, sine)
  arc = jnp.sin((1 - share) * angle) / safe * a
  arc = arc + jnp.sin(share * angle) / safe * b
  return jnp.where(small, lerp(a, b, share), arc)
