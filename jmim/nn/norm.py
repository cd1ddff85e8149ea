"""Normalisations and distances, float32 inside."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.nn import lean


class LayerNorm(nn.Module, kw_only=True):
  """flax's LayerNorm with two-pass variance, of which less is kept.

  Attributes:
    epsilon: added to the variance.
    dtype: of the result; None: that of the input.
    use_bias: has a learned bias.
    use_scale: has a learned scale.
  """

  epsilon: float = 1e-6
  dtype: Any = None
  use_bias: bool = True
  use_scale: bool = True

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., w] -> [..., w]."""
    shape, inits = (x.shape[-1],), nn.initializers
    scale = self.param("scale", inits.ones, shape) if self.use_scale else 1.0
    bias = self.param("bias", inits.zeros, shape) if self.use_bias else 0.0
    dtype = x.dtype if self.dtype is None else self.dtype
    return lean.layer_norm(x, scale, bias=bias, eps=self.epsilon, dtype=dtype)


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
