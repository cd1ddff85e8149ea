"""Normalisations without parameters, float32."""

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
