"""Convolutional blocks for volumes: those of MONAI's UNETR, and SegMamba's.

Volumes are [b, d, h, w, c]; instance norms have no parameters. Kernels
(1, 3, 3) look across slices only through what lies between the blocks.
"""

import math

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import dense
from jmim.nn import patch
from jmim.nn import recompute

THIN = (1, 3, 3)
SLOPE = 0.01  # of LeakyReLU
EPS = 1e-5
SIDES = (2, 2, 2)  # of what `Up` makes of a voxel


def instance_norm(x: jax.Array) -> jax.Array:
  """Mean 0 and variance 1 of every channel of every example.

  [b, d, h, w, c] -> the same, of its dtype; float32 inside.
  """
  y = x.astype(jnp.float32)
  axes = (1, 2, 3)
  mean, var = y.mean(axes, keepdims=True), y.var(axes, keepdims=True)
  return ((y - mean) * jax.lax.rsqrt(var + EPS)).astype(x.dtype)


def conv3d(
  rt: runtime.Runtime,
  width: int,
  name: str,
  *,
  fan_in: int,
  kernel: tuple[int, int, int] = (3, 3, 3),
  stride: int = 1,
  pad: tuple[int, int, int] | None = None,
  bias: bool = True,
) -> nn.Conv:
  """Convolution of volumes as torch starts it; [b, d, h, w, c] -> .. width.

  Args:
    rt: execution choices.
    width: output channels.
    name: of the module.
    fan_in: input channels.
    kernel: its sides.
    stride: of all axes.
    pad: voxels before and after each axis; None: half the kernel.
    bias: has one.
  """
  pad = tuple(side // 2 for side in kernel) if pad is None else pad
  return nn.Conv(
    width,
    kernel,
    strides=stride,
    padding=[(side, side) for side in pad],
    use_bias=bias,
    dtype=rt.dtype,
    kernel_init=conv.TORCH,
    bias_init=patch.conv_bias_init(fan_in * math.prod(kernel)),
    name=name,
  )


def point(
  rt: runtime.Runtime, width: int, name: str, *, fan_in: int, bias: bool = True
) -> nn.Dense:
  """Convolution of side 1, as torch starts it.

  Args:
    rt: execution choices.
    width: output channels.
    name: of the module.
    fan_in: input channels.
    bias: has one.
  """
  return dense.dense(
    rt,
    width,
    use_bias=bias,
    kernel_init=conv.TORCH,
    bias_init=patch.conv_bias_init(fan_in),
    name=name,
  )


class Residual(nn.Module, kw_only=True):
  """lrelu(IN c2(lrelu(IN c1 x)) + x); x passes IN(c3 x) to another width.

  Attributes:
    width: output channels.
    rt: execution choices.
  """

  width: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, d, h, w, c] -> [b, d, h, w, width]."""
    rt, c = self.rt, x.shape[-1]
    thin = dict(kernel=THIN, bias=False)
    y = conv3d(rt, self.width, "conv1", fan_in=c, **thin)(x)
    y = nn.leaky_relu(instance_norm(y), SLOPE)
    y = conv3d(rt, self.width, "conv2", fan_in=self.width, **thin)(y)
    if c != self.width:
      short = point(rt, self.width, "conv3", fan_in=c, bias=False)
      x = instance_norm(short(x))
    return rt.shard(nn.leaky_relu(instance_norm(y) + x, SLOPE))


class Up(nn.Module, kw_only=True):
  """Twice the voxels of every axis, then a residual block with a skip.

  Attributes:
    width: output channels.
    rt: execution choices.
  """

  width: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, skip: jax.Array) -> jax.Array:
    """[b, d, h, w, c] and [b, 2d, 2h, 2w, c'] -> [b, 2d, 2h, 2w, width]."""
    p, q, r = SIDES
    grown = point(
      self.rt, p * q * r * self.width, "up", fan_in=x.shape[-1], bias=False
    )(x)
    y = einops.rearrange(
      grown,
      "b d h w (p q r c) -> b (d p) (h q) (w r) c",
      p=p,
      q=q,
      r=r,
    )
    y = jnp.concatenate([y, skip.astype(y.dtype)], axis=-1)
    return Residual(width=self.width, rt=self.rt, name="block")(y)


class Gated(nn.Module, kw_only=True):
  """GSC of SegMamba: x + r4(r2(r1 x) + r3 x), each IN and ReLU after a conv.

  c1, c2 have kernels of side 3, c3, c4 of side 1.

  Attributes:
    rt: execution choices.
  """

  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, d, h, w, c] -> [b, d, h, w, c]."""
    rt, c = self.rt, x.shape[-1]

    def active(layer, y):
      return nn.relu(instance_norm(layer(y)))

    y = active(conv3d(rt, c, "conv1", fan_in=c), x)
    y = active(conv3d(rt, c, "conv2", fan_in=c), y)
    y = y + active(point(rt, c, "conv3", fan_in=c), x)
    return rt.shard(x + active(point(rt, c, "conv4", fan_in=c), y))


class Tail(nn.Module, kw_only=True):
  """A level as the decoder gets it: IN, then a linear map c -> 2c, GELU, c.

  Attributes:
    rt: execution choices.
  """

  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, d, h, w, c] -> [b, d, h, w, c]."""
    c = x.shape[-1]
    y = point(self.rt, 2 * c, "fc1", fan_in=c)(instance_norm(x))
    return point(self.rt, c, "fc2", fan_in=2 * c)(recompute.gelu(y))
