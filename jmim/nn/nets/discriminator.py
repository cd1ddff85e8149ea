"""Convolutional critics: of patches (PatchGAN), and of every pixel (a UNet).

PatchGAN: Isola et al. 2017 in the form of taming-transformers@3ba01b2: batch
statistics always (in training mode, of the batch at hand; the running ones,
which only their validation loss reads, are not kept).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import resize

NORMAL = nn.initializers.normal(0.02)
LEAK = 0.2


class BatchNorm(nn.Module):
  """(x - mean) / sqrt(var + eps) scale + bias, over batch and place."""

  eps: float = 1e-5
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> the same; statistics in float32, biased variance."""
    c = x.shape[-1]
    one_ish = lambda key, shape: 1 + NORMAL(key, shape)
    scale = self.param("scale", one_ish, (c,))
    bias = self.param("bias", nn.initializers.zeros, (c,))
    y = x.astype(jnp.float32)
    mean, var = y.mean((0, 1, 2)), y.var((0, 1, 2))
    y = (y - mean) * (jax.lax.rsqrt(var + self.eps) * scale) + bias
    return y.astype(self.rt.dtype)


class PatchGAN(nn.Module):
  """4 x 4 convolutions, of which `layers` halve the side.

  Attributes:
    layers: with stride 2; one more with stride 1, then the map.
    width: of the first; doubled in each, at most eight times.
    rt: execution choices.
  """

  layers: int = 3
  width: int = 64
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Images [b, h, w, c] -> logits [b, h', w', 1] float32, high = real."""
    y = nn.leaky_relu(self._conv(x, self.width, 2, "conv0"), LEAK)
    for n in range(1, self.layers + 1):
      width = self.width * min(2**n, 8)
      stride = 2 if n < self.layers else 1
      y = self._conv(y, width, stride, f"conv{n}", bias=False)
      y = nn.leaky_relu(BatchNorm(rt=self.rt, name=f"norm{n}")(y), LEAK)
    return self._conv(y, 1, 1, "out").astype(jnp.float32)

  def _conv(self, x, width, stride, name, bias=True):
    return self.rt.shard(
      nn.Conv(
        width,
        (4, 4),
        strides=stride,
        padding=((1, 1), (1, 1)),
        use_bias=bias,
        kernel_init=NORMAL,
        dtype=self.rt.dtype,
        name=name,
      )(x.astype(self.rt.dtype))
    )

  def least_side(self) -> int:
    """Of images, so that a map is left."""
    # Strides 2, ..., 2, 1, 1 of kernels of 4 padded by 1: walk back from 1.
    side = 1
    for stride in [1, 1] + [2] * self.layers:
      side = (side - 1) * stride + 4 - 2
    return side


class UNetCritic(nn.Module):
  """Three levels down by convolutions, up bilinearly, skips added.

  From memory of Real-ESRGAN's (Wang et al. 2021). The kernels of SPECTRAL are
  meant to be normalised (`nn.spectral`).

  Attributes:
    width: channels of the finest level; doubled by each level.
    rt: execution choices.
  """

  width: int = 64
  rt: runtime.Runtime = runtime.Runtime()

  SPECTRAL = r"^(down|up|end)\d/kernel$"
  MULTIPLE = 8  # what the sides of an image must divide by

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Images [b, h, w, c] -> logits [b, h, w, 1] float32, high = real."""
    rt, width = self.rt, self.width
    options = {"use_bias": False, "kernel_init": conv.TORCH}
    first = conv.conv3(rt, width, "first", kernel_init=conv.TORCH)
    y = rt.shard(nn.leaky_relu(first(x.astype(rt.dtype)), LEAK))
    skips = []
    for i in range(3):
      skips.append(y)
      down = nn.Conv(
        width * 2 ** (i + 1),
        (4, 4),
        strides=2,
        padding=((1, 1), (1, 1)),
        dtype=rt.dtype,
        name=f"down{i}",
        **options,
      )
      y = rt.shard(nn.leaky_relu(down(y), LEAK))
    for i in reversed(range(3)):
      y = resize.images(y, skips[i].shape[1:3], "bilinear")
      y = conv.conv3(rt, width * 2**i, f"up{i}", **options)(y)
      y = rt.shard(nn.leaky_relu(y, LEAK) + skips[i])
    for i in range(2):
      y = conv.conv3(rt, width, f"end{i}", **options)(y)
      y = nn.leaky_relu(y, LEAK)
    last = conv.conv3(rt, 1, "last", kernel_init=conv.TORCH)
    return last(y).astype(jnp.float32)


def hinge(real: jax.Array, fake: jax.Array) -> jax.Array:
  """(mean relu(1 - D(x)) + mean relu(1 + D(x'))) / 2."""
  return (nn.relu(1 - real).mean() + nn.relu(1 + fake).mean()) / 2


def vanilla(real: jax.Array, fake: jax.Array) -> jax.Array:
  """The same with softplus."""
  return (nn.softplus(-real).mean() + nn.softplus(fake).mean()) / 2


LOSSES = {"hinge": hinge, "vanilla": vanilla}
