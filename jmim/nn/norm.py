"""Normalisations, float32 inside: layers with parameters, and plain ones."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import recompute


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
    shape = (x.shape[-1],)
    ones, zeros = nn.initializers.ones, nn.initializers.zeros
    scale = self.param("scale", ones, shape) if self.use_scale else 1.0
    bias = self.param("bias", zeros, shape) if self.use_bias else 0.0
    dtype = x.dtype if self.dtype is None else self.dtype
    return recompute.layer_norm(
      x, scale, bias=bias, eps=self.epsilon, dtype=dtype
    )


def layer_norm(
  rt: runtime.Runtime, name: str | None, eps: float = 1e-6, affine: bool = True
) -> LayerNorm:
  """The LayerNorm of every network here, in the dtype of `rt`.

  Args:
    rt: execution choices.
    name: of the module; None where `setup` names it.
    eps: added to the variance.
    affine: has a learned scale and bias.
  """
  return LayerNorm(
    epsilon=eps, dtype=rt.dtype, use_bias=affine, use_scale=affine, name=name
  )


class BiasFree(nn.Module, kw_only=True):
  """x / sqrt(variance + eps) with a learned scale: the mean stays in x.

  (Restormer's LayerNorm "BiasFree".)

  Attributes:
    epsilon: added to the variance.
    dtype: of the result.
  """

  epsilon: float = 1e-5
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., w] -> [..., w]."""
    scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
    x = x.astype(jnp.float32)
    inverse = jax.lax.rsqrt(x.var(-1, keepdims=True) + self.epsilon)
    return (x * (inverse * scale)).astype(self.dtype)


def rms_norm(
  rt: runtime.Runtime,
  name: str | None,
  eps: float = 1e-6,
  affine: bool = True,
) -> nn.RMSNorm:
  """x / sqrt(mean(x^2) + eps), in the dtype of `rt`.

  Args:
    rt: execution choices.
    name: of the module; None where `setup` names it.
    eps: added to the mean square.
    affine: has a learned scale.
  """
  return nn.RMSNorm(epsilon=eps, dtype=rt.dtype, use_scale=affine, name=name)


def unit(x: jax.Array, eps: float = 1e-12) -> jax.Array:
  """x / max(|x|, eps) over the last axis; [..., w] float32."""
  x = x.astype(jnp.float32)
  square = jnp.sum(x * x, axis=-1, keepdims=True)
  return x * jax.lax.rsqrt(jnp.maximum(square, eps * eps))


def whiten(x: jax.Array, eps: float = 1e-5) -> jax.Array:
  """Mean 0 and variance 1 over the last axis; [..., w] float32."""
  x = x.astype(jnp.float32)
  mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
  return (x - mean) / jnp.sqrt(var + eps)


def standardise(x: jax.Array, eps: float = 1e-6) -> jax.Array:
  """Mean 0 and unbiased variance 1 over the whole array; float32."""
  x = x.astype(jnp.float32)
  return (x - x.mean()) / jnp.sqrt(x.var(ddof=1) + eps)
