"""Invertible couplings of convolutions, with an instance norm on half.

    y = act(conv_2(act([norm, id](conv_1 x)))) + 1x1 x       (Chen et al. 2021)

    y1 = x1 + F(x2)
    y2 = x2 exp(s) + G(y1),    s = clamp (2 sigmoid(H(y1)) - 1)

as Zheng et al. 2023 (CUE) have them; x1 and x2 are halves of the channels.
Maps NHWC.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import conv

SLOPE = 0.1  # of the leaky rectifiers


def leaky(x: jax.Array, slope: float = SLOPE) -> jax.Array:
  """max(x, slope x); any shape."""
  return nn.leaky_relu(x, slope)


class InstanceNorm(nn.Module, kw_only=True):
  """Every channel of every image: mean 0, variance 1, then scale and bias.

  Attributes:
    rt: execution choices.
    eps: added to the variance.
  """

  rt: runtime.Runtime = runtime.Runtime()
  eps: float = 1e-5

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> [b, h, w, c]; statistics in float32."""
    shape = (x.shape[-1],)
    scale = self.param("scale", nn.initializers.ones, shape)
    bias = self.param("bias", nn.initializers.zeros, shape)
    y = x.astype(jnp.float32)
    mean, var = (f((1, 2), keepdims=True) for f in (y.mean, y.var))
    y = (y - mean) * jax.lax.rsqrt(var + self.eps)
    return (y * scale + bias).astype(x.dtype)


class ConvPair(nn.Module, kw_only=True):
  """Two 3 x 3 convolutions, and one of 1 x 1 past them.

  Attributes:
    width: channels of the output.
    normed: the first half of the channels in between is normalised.
    rt: execution choices.
  """

  width: int
  normed: bool = False
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> [b, h, w, width]."""
    kind = {"kernel_init": conv.TORCH}
    y = conv.conv3(self.rt, self.width, "conv1", **kind)(x)
    if self.normed:
      half = self.width // 2
      first = InstanceNorm(rt=self.rt, name="norm")(y[..., :half])
      y = jnp.concatenate([first, y[..., half:]], axis=-1)
    y = leaky(conv.conv3(self.rt, self.width, "conv2", **kind)(leaky(y)))
    return y + conv.conv1(self.rt, self.width, "identity")(x)


class Coupling(nn.Module, kw_only=True):
  """Two halves of the channels, each changed by what the other is.

  Attributes:
    width: channels.
    clamp: greatest |s|.
    rt: execution choices.
  """

  width: int
  clamp: float = 0.8
  rt: runtime.Runtime = runtime.Runtime()

  def setup(self) -> None:
    """F makes the first half; G and H the second."""
    half = self.width // 2
    pair = lambda width: ConvPair(width=width, normed=True, rt=self.rt)
    self.f = pair(half)
    self.g, self.h = pair(self.width - half), pair(self.width - half)

  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, width] -> the same."""
    x1, x2 = self._halves(x)
    y1 = x1 + self.f(x2)
    y2 = x2 * jnp.exp(self._log_scale(y1)) + self.g(y1)
    return jnp.concatenate([y1, y2], axis=-1)

  def inverse(self, y: jax.Array) -> jax.Array:
    """The x [b, h, w, width] of which a call makes y."""
    y1, y2 = self._halves(y)
    x2 = (y2 - self.g(y1)) * jnp.exp(-self._log_scale(y1))
    return jnp.concatenate([y1 - self.f(x2), x2], axis=-1)

  def _halves(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    half = self.width // 2
    return x[..., :half], x[..., half:]

  def _log_scale(self, y1: jax.Array) -> jax.Array:
    """s [b, h, w, width / 2]."""
    return self.clamp * (2 * nn.sigmoid(self.h(y1)) - 1)
