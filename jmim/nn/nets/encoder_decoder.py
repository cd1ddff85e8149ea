"""A convolutional encoder and decoder with skips, from images to maps.

Ronneberger et al. 2015 (U-Net), of the residual blocks in `nn/unet_blocks.py`,
which are told nothing. Images NHWC.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import unet_blocks


class EncoderDecoder(nn.Module, kw_only=True):
  """Each level halves the side, and doubles it again.

  Attributes:
    width: channels of the finest level.
    multipliers: of each level, finest first.
    blocks: residual blocks per level, each way.
    groups: of the norms.
    out: channels of the maps; 0: there is no decoder.
    rt: execution choices.
  """

  width: int = 32
  multipliers: tuple[int, ...] = (1, 2, 4)
  blocks: int = 1
  groups: int = 8
  out: int = 0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> tuple[jax.Array | None, list[jax.Array]]:
    """Images [b, h, w, c] to maps.

    Returns:
      [b, h, w, out] float32 or None; and the last map of each level on the way
      down, finest first.
    """
    levels = self._down(x)
    if not self.out:
      return None, levels
    y = levels[-1]
    for i in reversed(range(len(levels) - 1)):
      y = jnp.concatenate([conv.twice(y), levels[i]], axis=-1)
      y = self._level(y, i, "up")
    norm = conv.group_norm(self.rt, self.groups, "norm_out")
    y = conv.conv3(self.rt, self.out, "conv_out")(nn.silu(norm(y)))
    return y.astype(jnp.float32), levels

  def _down(self, x):
    y = conv.conv3(self.rt, self.width, "conv_in")(x.astype(self.rt.dtype))
    levels = []
    for i in range(len(self.multipliers)):
      if i:
        y = conv.conv3(self.rt, y.shape[-1], f"half{i}", 2)(y)
      y = self._level(self.rt.shard(y), i, "down")
      levels.append(y)
    return levels

  def _level(self, y, i, way):
    for k in range(self.blocks):
      y = unet_blocks.ResBlock(
        width=self.multipliers[i] * self.width,
        groups=self.groups,
        rt=self.rt,
        name=f"{way}{i}_{k}",
      )(y, ())
    return y


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Widths and levels, as a method's config has them."""

  width: int = field.value(32, "channels of the finest level", low=1)
  multipliers: tuple[int, ...] = field.value(
    (1, 2, 4), "widths of the levels over the finest one's, finest first"
  )
  blocks: int = field.value(1, "residual blocks per level, each way", low=1)
  norm_groups: int = field.value(8, "groups of the norms", low=1)

  def net(self, out: int, rt: runtime.Runtime) -> EncoderDecoder:
    """The network; out: channels of the maps, 0 for the encoder alone."""
    return EncoderDecoder(
      width=self.width,
      multipliers=self.multipliers,
      blocks=self.blocks,
      groups=self.norm_groups,
      out=out,
      rt=rt,
    )

  def check(self, side: int) -> None:
    """Raises ValueError unless it can be built on images of that side."""
    least = 2 ** (len(self.multipliers) - 1)
    if not self.multipliers or side % least:
      raise ValueError(
        f"size {side} with {len(self.multipliers)} multipliers: one or more, "
        f"each level half of the one above (a multiple of {least})"
      )
    for times in self.multipliers:
      if times < 1 or times * self.width % self.norm_groups:
        raise ValueError(
          f"multipliers {self.multipliers} of width {self.width}: each of 1 or "
          f"more, in norm_groups={self.norm_groups}"
        )
