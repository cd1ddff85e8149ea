"""Pieces of convolutional networks: norms, 3 x 3 convolutions, resampling.

Images are NHWC; padding is torch's, written out where it differs from "SAME".
"""

from typing import Any

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import dense

# Torch's default: uniform, of a third of the variance of LeCun's.
TORCH = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def group_norm(
  rt: runtime.Runtime, groups: int, name: str, eps: float = 1e-5
) -> nn.GroupNorm:
  """GroupNorm with float32 statistics and the two-pass variance."""
  return nn.GroupNorm(
    groups, epsilon=eps, dtype=rt.dtype, name=name, use_fast_variance=False
  )


def conv3(
  rt: runtime.Runtime,
  width: int,
  name: str | None,
  stride: int = 1,
  zero: bool = False,
  pad: tuple[int, int] = (1, 1),
  **more: Any,
) -> nn.Conv:
  """3 x 3 convolution, [b, h, w, c] -> [b, h', w', width].

  Args:
    rt: execution choices.
    width: output channels.
    name: of the module; None where `setup` names it.
    stride: of both axes.
    zero: starts at 0.
    pad: pixels before and after, on both axes.
    **more: of nn.Conv.
  """
  init = {"kernel_init": nn.initializers.zeros} if zero else {}
  return nn.Conv(
    width,
    (3, 3),
    strides=stride,
    padding=(pad, pad),
    dtype=rt.dtype,
    name=name,
    **init,
    **more,
  )


def mirrored(x: jax.Array, pixels: int = 1) -> jax.Array:
  """[b, h, w, c] with mirrored borders (torch's ReflectionPad2d), h, w > it."""
  pad = (pixels, pixels)
  return jnp.pad(x, ((0, 0), pad, pad, (0, 0)), mode="reflect")


def transposed(
  rt: runtime.Runtime, width: int, name: str | None, stride: int
) -> nn.ConvTranspose:
  """[b, h, w, c] -> [b, s h, s w, width], s = stride, even.

  torch's ConvTranspose2d of a kernel of 2 s with padding s / 2. The kernel
  [2 s, 2 s, c, width] is that of the convolution of what is spread, theirs
  turned by 180 degrees.
  """
  before = 2 * stride - 1 - stride // 2
  return nn.ConvTranspose(
    width,
    (2 * stride, 2 * stride),
    strides=(stride, stride),
    padding=((before, before), (before, before)),
    dtype=rt.dtype,
    name=name,
  )


def conv1(
  rt: runtime.Runtime, width: int, name: str | None, bias: bool = True
) -> nn.Dense:
  """1 x 1 convolution, [b, h, w, c] -> [b, h, w, width], begun as torch does.

  Args:
    rt: execution choices.
    width: output channels.
    name: of the module; None where `setup` names it.
    bias: has one.
  """
  return dense.dense(rt, width, use_bias=bias, kernel_init=TORCH, name=name)


def down2(rt: runtime.Runtime, width: int, name: str | None) -> nn.Conv:
  """2 x 2 convolution in steps of 2, [b, h, w, c] -> [b, h/2, w/2, width].

  Args:
    rt: execution choices.
    width: output channels.
    name: of the module; None where `setup` names it.
  """
  return nn.Conv(
    width,
    (2, 2),
    strides=2,
    padding="VALID",
    dtype=rt.dtype,
    kernel_init=TORCH,
    name=name,
  )


def twice(x: jax.Array) -> jax.Array:
  """[b, h, w, c] -> [b, 2h, 2w, c], nearest."""
  return einops.repeat(x, "b h w c -> b (h p) (w q) c", p=2, q=2)


def half(x: jax.Array) -> jax.Array:
  """[b, h, w, c] -> [b, h/2, w/2, c], mean of 2 x 2."""
  return einops.reduce(x, "b (h p) (w q) c -> b h w c", "mean", p=2, q=2)


def widened(kernel: jax.Array, channels: int) -> jax.Array:
  """A kernel that reads more channels: repeated, and divided by how often.

  Of the same input several times over it makes what the kernel makes of one.

  Args:
    kernel: [.., c, d].
    channels: that it is to read, a multiple of c.
  """
  times = channels // kernel.shape[-2]
  reps = (1,) * (kernel.ndim - 2) + (times, 1)
  return jnp.tile(kernel, reps) / times
