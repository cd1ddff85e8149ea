"""RRDB: dense residual blocks on a small image, which then doubles its side.

Wang et al. 2018 (ESRGAN), as SRDiff and SAM-DiffSR have it
(lose4578/SAM-DiffSR@a18eaf6). Images NHWC in -1 .. 1, inside 0 .. 1:

    dense(x) = x + 0.2 c5([x, x1 .. x4]),  xi = lrelu(ci([x, .. x_{i-1}]))
    block(x) = x + 0.2 dense(dense(dense(x)))

LeakyReLUs have the slope 0.2.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import stack

SLOPE = 0.2
SHARE = 0.2  # of what a block computes, that is added to its input
UNITS = ("dense1", "dense2", "dense3")
CONVOLUTIONS = ("conv1", "conv2", "conv3", "conv4", "conv5")
FACTORS = (2, 4, 8)


class Dense(nn.Module):
  """Five 3 x 3 convolutions; each reads the input and all that came before.

  Attributes:
    growth: channels of the first four; the last has those of the input.
    rt: execution choices.
  """

  growth: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> the same."""
    seen = x
    for name in CONVOLUTIONS[:-1]:
      y = conv.conv3(self.rt, self.growth, name, kernel_init=conv.TORCH)(seen)
      seen = jnp.concatenate([seen, nn.leaky_relu(y, SLOPE)], axis=-1)
    last = conv.conv3(
      self.rt, x.shape[-1], CONVOLUTIONS[-1], kernel_init=conv.TORCH
    )
    return x + SHARE * last(seen)


class Block(nn.Module):
  """Three dense units inside one more skip; attributes as `Dense`."""

  growth: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """[b, h, w, c] -> the same, twice: as output and as tap."""
    y = x
    for name in UNITS:
      y = Dense(self.growth, self.rt, name=name)(y)
    y = self.rt.shard(x + SHARE * y)
    return y, y


class RRDB(nn.Module, kw_only=True):
  """The network.

  Attributes:
    width: channels between blocks.
    growth: channels that each convolution of a dense unit adds.
    blocks: how many.
    factor: side of the result over that of the input; a power of 2.
    out: channels of the image.
    rt: execution choices.
  """

  width: int = 64
  growth: int = 32
  blocks: int = 17
  factor: int = 4
  out: int = 3
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Small images to large ones, and what the blocks saw.

    Args:
      x: [b, h, w, c] in -1 .. 1.

    Returns:
      [b, factor h, factor w, out] float32, clipped to -1 .. 1; and features
      [blocks + 1, b, h, w, width], the output of each block and last what the
      side is doubled of.
    """
    rt, width = self.rt, self.width
    layer = lambda n, name: conv.conv3(rt, n, name, kernel_init=conv.TORCH)
    first = rt.shard(layer(width, "conv_in")(((x + 1) / 2).astype(rt.dtype)))
    make = lambda: Block(self.growth, rt, parent=None)
    y, taps = stack.Stack(make, self.blocks, rt, name="blocks")(first)
    y = first + layer(width, "conv_trunk")(y)
    features = jnp.concatenate([taps, y[None]])
    for i in range(self.factor.bit_length() - 1):
      y = layer(width, f"conv_up{i}")(conv.twice(y))
      y = rt.shard(nn.leaky_relu(y, SLOPE))
    y = nn.leaky_relu(layer(width, "conv_large")(y), SLOPE)
    # Ours: it starts in the middle, as what is clipped has no gradient.
    middle = nn.initializers.constant(0.5)
    last = conv.conv3(
      rt, self.out, "conv_out", kernel_init=conv.TORCH, bias_init=middle
    )
    image = last(y).astype(jnp.float32)
    return 2 * jnp.clip(image, 0, 1) - 1, features


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Its size, as a method's config has it."""

  width: int = field.value(64, "channels between blocks", low=1)
  growth: int = field.value(
    32, "channels that each convolution of a dense unit adds", low=1
  )
  blocks: int = field.value(17, "blocks", low=2)

  def net(self, factor: int, channels: int, rt: runtime.Runtime) -> RRDB:
    """The network for images of so many channels."""
    return RRDB(
      width=self.width,
      growth=self.growth,
      blocks=self.blocks,
      factor=factor,
      out=channels,
      rt=rt,
    )


def check(factor: int) -> None:
  """Raises ValueError unless the side can be doubled to that factor."""
  if factor not in FACTORS:
    raise ValueError(
      f"degraded.factor={factor}: RRDB doubles the side, so it is one of "
      f"{', '.join(map(str, FACTORS))}"
    )
