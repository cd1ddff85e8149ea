"""The UNet of SRDiff: no norms, mirrored borders, Mish.

Li et al. 2022, as SAM-DiffSR has it (lose4578/SAM-DiffSR@a18eaf6). Images NHWC.
A level going down has two residual blocks, then half the side; its map after
both is the skip. What conditions it is added once, to the first level's map.
The way up ends at the first level's side without reading its skip.
"""

import dataclasses
from collections.abc import Sequence

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import posemb

EVERY = 3  # of an encoder's maps


def read(features: jax.Array) -> jax.Array:
  """[b, h, w, (n / 3) d]: every third of an encoder's maps [n, b, h, w, d]."""
  maps = features[EVERY - 1 :: EVERY]
  return einops.rearrange(maps, "n b h w d -> b h w (n d)")


class Block(nn.Module):
  """3 x 3 convolution with mirrored borders, then Mish.

  Attributes:
    width: channels of the output.
    rt: execution choices.
  """

  width: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> [b, h, w, width]."""
    y = conv.mirrored(x)
    inside = {"pad": (0, 0), "kernel_init": conv.TORCH}
    y = conv.conv3(self.rt, self.width, "conv", **inside)(y)
    return jax.nn.mish(y)


class ResBlock(nn.Module):
  """Block, + time, block; 1 x 1 skip if widths differ; as `Block`."""

  width: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, emb: jax.Array) -> jax.Array:
    """[b, h, w, c] and Mish of the time [b, e] -> [b, h, w, width]."""
    rt, width = self.rt, self.width
    options = {"dtype": rt.dtype, "kernel_init": conv.TORCH}
    y = Block(width, rt, name="block1")(x)
    y = y + nn.Dense(width, name="time", **options)(emb)[:, None, None]
    y = Block(width, rt, name="block2")(y)
    if x.shape[-1] != width:
      x = nn.Dense(width, name="skip", **options)(x)
    return rt.shard(x + y)


class UNet(nn.Module, kw_only=True):
  """The network.

  Attributes:
    width: of the finest level, and of the time's embedding.
    multipliers: of each level, finest first.
    factor: side of the image over that of the encoder's maps; even.
    out: channels of the prediction.
    rt: execution choices.
  """

  width: int = 64
  multipliers: Sequence[int] = (1, 2, 3, 4)
  factor: int = 4
  out: int = 3
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, t: jax.Array, seen: jax.Array) -> jax.Array:
    """Predicts noise.

    Args:
      x: [b, h, w, c], sides divisible by 2^(levels - 1), and more than that.
      t: [b] times.
      seen: [b, h / factor, w / factor, d], see `read`.

    Returns:
      [b, h, w, out] float32.
    """
    rt, widths = self.rt, [m * self.width for m in self.multipliers]
    emb, cond = self._time(t), self._condition(seen)
    y, skips = x.astype(rt.dtype), []
    for level, width in enumerate(widths):
      for n in (0, 1):
        y = ResBlock(width, rt, name=f"down{level}_{n}")(y, emb)
      y = y + cond if level == 0 else y
      skips.append(y)
      if level < len(widths) - 1:
        y = self._halved(y, f"half{level}")
    for n in (0, 1):
      y = ResBlock(widths[-1], rt, name=f"middle{n}")(y, emb)
    for level in reversed(range(1, len(widths))):
      width = widths[level - 1]
      y = jnp.concatenate([y, skips[level]], axis=-1)
      for n in (0, 1):
        y = ResBlock(width, rt, name=f"up{level}_{n}")(y, emb)
      y = rt.shard(conv.transposed(rt, width, f"twice{level}", stride=2)(y))
    y = Block(self.width, rt, name="last")(y)
    options = {"dtype": rt.dtype, "kernel_init": conv.TORCH}
    return nn.Dense(self.out, name="out", **options)(y).astype(jnp.float32)

  def _time(self, t):
    """Mish of the embedding of times, [b, width]."""
    rt, width = self.rt, self.width
    options = {"dtype": rt.dtype, "kernel_init": conv.TORCH}
    y = posemb.sinusoid(t, width, "sin_cos", inclusive=True).astype(rt.dtype)
    y = jax.nn.mish(nn.Dense(4 * width, name="time1", **options)(y))
    return jax.nn.mish(nn.Dense(width, name="time2", **options)(y))

  def _condition(self, seen):
    """[b, h, w, width] of an encoder's maps."""
    layer = conv.transposed(self.rt, self.width, "condition", self.factor)
    return self.rt.shard(layer(seen.astype(self.rt.dtype)))

  def _halved(self, y, name):
    """[b, h, w, c] -> [b, h/2, w/2, c]."""
    inside = {"pad": (0, 0), "kernel_init": conv.TORCH}
    layer = conv.conv3(self.rt, y.shape[-1], name, stride=2, **inside)
    return self.rt.shard(layer(conv.mirrored(y)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Its size, as a method's config has it."""

  width: int = field.value(
    64, "channels of the finest level, and of the time's embedding", low=4
  )
  multipliers: tuple = field.value(
    (1, 2, 3, 4), "widths of the levels over that of the finest"
  )

  def net(self, factor: int, channels: int, rt: runtime.Runtime) -> UNet:
    """The network for images of so many channels."""
    return UNet(
      width=self.width,
      multipliers=tuple(self.multipliers),
      factor=factor,
      out=channels,
      rt=rt,
    )

  def check(self, side: int) -> None:
    """Raises ValueError for images of a side that it cannot halve and mirror.

    Args:
      side: [pixels].
    """
    levels = len(self.multipliers)
    if levels < 2 or self.multipliers[0] != 1 or self.width % 2:
      raise ValueError(
        f"dims.width={self.width}, dims.multipliers={self.multipliers}: an "
        "even width, and two levels or more, the finest of that width"
      )
    coarse = 2 ** (levels - 1)
    if side % coarse or side < 2 * coarse:
      raise ValueError(
        f"size={side} with {levels} levels (dims.multipliers): it is halved "
        f"{levels - 1} times, to 2 pixels or more"
      )
