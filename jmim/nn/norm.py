"""Normalisations and distances without parameters, float32."""

import jax
import jax.numpy as jnp


def unit(x: jax.Array, eps: float = 1e-12) -> jax.Array:
  """x / max(|x|, eps) over the last axis."""
  x = x.astype(jnp.float32)
  square = jnp.sum(x * x, axis=-1, keepdims=True)
  return x * jax.lax.rsqrt(jnp.maximum(square, eps * eps))


def whiten(x: jax.Array, eps: float = 1e-5) -> jax.Array:
  """LayerNorm without affine: mean 0, variance 1 over the last axis."""
  x = x.astype(jnp.float32)
  mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
  return (x - mean) / jnp.sqrt(var + eps)


def standardise(x: jax.Array, eps: float = 1e-6) -> jax.Array:
  """Mean 0, unbiased variance 1 over the whole array (MaskAlign's "bn")."""
  x = x.astype(jnp.float32)
  return (x - x.mean()) / jnp.sqrt(x.var(ddof=1) + eps)


def smooth_l1(gap: jax.Array) -> jax.Array:
  """gap^2 / 2 where |gap| < 1, |gap| - 1/2 elsewhere."""
  far = jnp.abs(gap)
  return jnp.where(far < 1, 0.5 * gap * gap, far - 0.5)


DISTANCES = {  # element by element
  "smoothl1": lambda gap: 2 * smooth_l1(gap),  # the square below 1
  "l2": jnp.square,
  "l1": jnp.abs,
}
TARGETS = {
  "whiten": whiten,
  "none": lambda x: x.astype(jnp.float32),
  "l2": unit,
  "bn": standardise,
}
