"""Convolutional blocks for volumes: those of MONAI's UNETR, and SegMamba's.

Volumes are [b, d, h, w, c]; instance norms have no parameters. Thin kernels,
(1, k, k), look across slices only through what lies between the blocks.
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

Sides = tuple[int, int, int]

SIDE = 3  # of thin kernels, in a slice
SLOPE = 0.01  # of LeakyReLU
EPS = 1e-5
SIDES = (2, 2, 2)  # of what `Up` makes of a voxel


def thin(side: int) -> Sides:
  """The kernel of this side in a slice, which sees no other slice."""
  return (1, side, side)


def instance_norm(x: jax.Array) -> jax.Array:
  """Mean 0 and variance 1 of every channel of every example.

  [b, d, h, w, c] -> the same, of its dtype; float32 inside.
  """
  y = x.astype(jnp.float32)
  axes = (1, 2, 3)
  mean, var = y.mean(axes, keepdims=True), y.var(axes, keepdims=True)
  return ((y - mean) * jax.lax.rsqrt(var + EPS)).astype(x.dtype)


class Conv(nn.Module, kw_only=True):
  """Convolution of volumes, as torch starts it: a sum of those of slices.

  XLA's CPU compiler runs 3-D convolutions on one slow path: with kernels
  (1, 3, 3) and their gradients this takes a seventh of the time, with (3, 3, 3)
  a quarter.

  Attributes:
    width: output channels.
    kernel: its sides.
    stride: of all axes.
    pad: voxels before and after each axis; None: half the kernel.
    bias: has one.
    rt: execution choices.
  """

  width: int
  kernel: Sides = (3, 3, 3)
  stride: int = 1
  pad: Sides | None = None
  bias: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, d, h, w, c] -> [b, d', h', w', width]."""
    shape = (*self.kernel, x.shape[-1], self.width)
    kernel = self.param("kernel", conv.TORCH, shape)
    bias = None
    if self.bias:
      init = patch.conv_bias_init(math.prod(shape[:-1]))
      bias = self.param("bias", init, (self.width,))
    x, kernel, bias = nn.dtypes.promote_dtype(
      x, kernel, bias, dtype=self.rt.dtype
    )
    pad = self.pad or tuple(side // 2 for side in self.kernel)
    y = self._convolved(x, kernel, [(side, side) for side in pad])
    return y if bias is None else y + bias

  def _convolved(self, x, kernel, pad):
    depth = self.kernel[0]
    x = jnp.pad(x, ((0, 0), pad[0], *[(0, 0)] * 3))
    count = (x.shape[1] - depth) // self.stride + 1
    last = (count - 1) * self.stride + 1
    total = 0
    for i in range(depth):
      slices = x[:, i : i + last : self.stride]
      y = jax.lax.conv_general_dilated(
        slices.reshape(-1, *x.shape[2:]),
        kernel[i],
        (self.stride,) * 2,
        pad[1:],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
      )
      total = total + y
    return total.reshape(len(x), count, *total.shape[1:])


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
    side: k of c1 and c2, odd.
    rt: execution choices.
  """

  width: int
  side: int = SIDE
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, d, h, w, c] -> [b, d, h, w, width]."""
    rt, c = self.rt, x.shape[-1]
    kernel = thin(self.side)
    conv = lambda name: Conv(
      width=self.width, kernel=kernel, bias=False, rt=rt, name=name
    )
    y = nn.leaky_relu(instance_norm(conv("conv1")(x)), SLOPE)
    y = conv("conv2")(y)
    if c != self.width:
      short = point(rt, self.width, "conv3", fan_in=c, bias=False)
      x = instance_norm(short(x))
    return rt.shard(nn.leaky_relu(instance_norm(y) + x, SLOPE))


class Up(nn.Module, kw_only=True):
  """Twice the voxels of every axis, then a residual block with a skip.

  Attributes:
    width: output channels.
    side: of the block's kernels in a slice.
    rt: execution choices.
  """

  width: int
  side: int = SIDE
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
    return Residual(width=self.width, side=self.side, rt=self.rt, name="block")(
      y
    )


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

    y = active(Conv(width=c, rt=rt, name="conv1"), x)
    y = active(Conv(width=c, rt=rt, name="conv2"), y)
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
