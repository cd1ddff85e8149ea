"""The time-conditional UNet of latent diffusion and its relatives.

Rombach et al. 2022 (CompVis/latent-diffusion@a506df5, `UNetModel`): residual
blocks with the time embedding added (or as scale and shift), self-attention
or, with a context, transformer blocks with cross-attention. Images NHWC.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import adaln
from jmim.nn import conv
from jmim.nn import spatial

ZEROS = nn.initializers.zeros


class ResBlock(nn.Module, kw_only=True):
  """GN SiLU conv, + time, GN SiLU dropout conv; 1 x 1 skip if widths differ.

  Attributes:
    width: channels of the output.
    dropout: rate; needs the rng "dropout" where it is not 0.
    scale_shift: time acts as h (1 + scale) + shift after the second norm.
    groups: of the norms; with one channel each, a time that is only added
      would be normalised away.
    rt: execution choices.
    resample: changes the side on the way, of the input too: "half" or "twice"
      of `nn.conv`; "": not.
  """

  width: int
  dropout: float = 0.0
  scale_shift: bool = False
  groups: int = 32
  rt: runtime.Runtime = runtime.Runtime()
  resample: str = ""

  @nn.compact
  def __call__(self, x: jax.Array, emb: jax.Array) -> jax.Array:
    """x [b, h, w, c], emb [b, e] through its SiLU -> [b, h, w, width]."""
    rt, width = self.rt, self.width
    y = nn.silu(conv.group_norm(rt, self.groups, "norm1")(x))
    if self.resample:
      x, y = (getattr(conv, self.resample)(a) for a in (x, y))
    y = conv.conv3(rt, width, "conv1")(y)
    mods = nn.Dense(width * (1 + self.scale_shift), dtype=rt.dtype, name="time")
    mods = mods(emb)[:, None, None]
    norm = conv.group_norm(rt, self.groups, "norm2")
    if self.scale_shift:
      scale, shift = jnp.split(mods, 2, axis=-1)
      y = norm(y) * (1 + scale) + shift
    else:
      y = norm(y + mods)
    y = nn.Dropout(self.dropout, deterministic=not self.dropout)(nn.silu(y))
    y = conv.conv3(rt, width, "conv2", zero=True)(y)
    if x.shape[-1] != width:
      x = nn.Conv(width, (1, 1), dtype=rt.dtype, name="skip")(x)
    return rt.shard(x + y)


class UNet(nn.Module, kw_only=True):
  """Noisy image and time to a prediction of the same side.

  Attributes:
    width: channels of the finest level; a multiple of `heads`.
    multipliers: of each level, finest first.
    out: channels of the prediction.
    blocks: residual blocks per level going down; one more going up.
    attend_at: downsampling factors (1, 2, 4, ...) with attention.
    heads: attention heads; 0: `head_width` channels per head.
    classes: labels, `classes` = none, added to the time; 0: no table.
    dropout: rate in the residual blocks.
    scale_shift: see `ResBlock`.
    transformer: blocks of cross-attention to a context; 0: self-attention.
    groups: of the norms.
    updown: sides change in residual blocks, by means and repetition, instead
      of in convolutions.
    resample_conv: without `updown`, sides change in convolutions; else by
      means and repetition alone.
    head_width: channels of a head, where `heads` does not fix their number.
    up_heads: attention heads going up, where `heads` fixes their number; 0: as
      many.
    rt: execution choices.
  """

  width: int = 128
  multipliers: Sequence[int] = (1, 2, 2, 4)
  out: int = 3
  blocks: int = 2
  attend_at: Sequence[int] = (4, 8)
  heads: int = 4
  classes: int = 0
  dropout: float = 0.0
  scale_shift: bool = False
  transformer: int = 0
  groups: int = 32
  updown: bool = False
  resample_conv: bool = True
  head_width: int = 32
  up_heads: int = 0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    t: jax.Array,
    label: jax.Array | None = None,
    context: jax.Array | None = None,
  ) -> jax.Array:
    """Predicts for [b, h, w, c]; h and w divide by 2^(levels - 1).

    Args:
      x: noisy image, with concatenated conditions if there are any.
      t: [b] times.
      label: [b] int; needed if there are classes.
      context: [b, s, e]; needed if there is a transformer.

    Returns:
      [b, h, w, out] float32, 0 at the start.
    """
    rt = self.rt
    emb = self._embed(t, label)
    levels = len(self.multipliers)
    y = rt.shard(conv.conv3(rt, self.width, "conv_in")(x.astype(rt.dtype)))
    skips = [y]
    for level, times in enumerate(self.multipliers):
      for i in range(self.blocks):
        y = self._stage(
          y,
          emb,
          context=context,
          times=times,
          level=level,
          name=f"down{level}_{i}",
        )
        skips.append(y)
      if level < levels - 1:
        y = self._smaller(y, emb, f"down{level}")
        skips.append(y)
    y = self._res(times, "middle_0")(y, emb)
    y = self._attention(y, context, "middle_attention")
    y = self._res(times, "middle_1")(y, emb)
    for level, times in reversed(list(enumerate(self.multipliers))):
      for i in range(self.blocks + 1):
        y = jnp.concatenate([y, skips.pop()], axis=-1)
        y = self._stage(
          y,
          emb,
          context=context,
          times=times,
          level=level,
          name=f"up{level}_{i}",
        )
      if level:
        y = self._larger(y, emb, f"up{level}")
    y = nn.silu(conv.group_norm(rt, self.groups, "norm_out")(y))
    return conv.conv3(rt, self.out, "conv_out", zero=True)(y).astype(
      jnp.float32
    )

  def _embed(self, t, label):
    """[b, 4 width] time and label embedding, through the blocks' SiLU."""
    wide = 4 * self.width
    emb = adaln.TimeEmbed(
      width=wide,
      hidden=wide,
      waves=self.width,
      std=0.0,
      rt=self.rt,
      name="time_embed",
    )(t)
    if self.classes:
      emb = emb + adaln.label_table(self.classes, wide, self.rt)(label)
    return nn.silu(emb)

  def _res(self, times, name, resample=""):
    return ResBlock(
      width=times * self.width,
      dropout=self.dropout,
      scale_shift=self.scale_shift,
      groups=self.groups,
      rt=self.rt,
      resample=resample,
      name=name,
    )

  def _smaller(self, y, emb, name):
    if self.updown:
      times = y.shape[-1] // self.width
      return self._res(times, f"{name}_half", "half")(y, emb)
    if not self.resample_conv:
      return conv.half(y)
    return conv.conv3(self.rt, y.shape[-1], f"{name}_conv", 2)(y)

  def _larger(self, y, emb, name):
    if self.updown:
      times = y.shape[-1] // self.width
      return self._res(times, f"{name}_twice", "twice")(y, emb)
    if not self.resample_conv:
      return conv.twice(y)
    return conv.conv3(self.rt, y.shape[-1], f"{name}_conv")(conv.twice(y))

  def _stage(self, y, emb, context, times, level, name):
    """A residual block and, at some levels, attention."""
    y = self._res(times, name)(y, emb)
    if 2**level in self.attend_at:
      y = self._attention(y, context, f"{name}_attention")
    return y

  def _attention(self, y, context, name):
    heads = self.heads_at(y.shape[-1], up=name.startswith("up"))
    if not self.transformer:
      return spatial.SpatialAttention(heads, self.groups, self.rt, name=name)(y)
    return spatial.SpatialTransformer(
      heads=heads,
      depth=self.transformer,
      groups=self.groups,
      rt=self.rt,
      name=name,
    )(y, context)

  def heads_at(self, width: int, up: bool = False) -> int:
    """Attention heads where the map has `width` channels, going down or up."""
    if not self.heads:
      return width // self.head_width
    return (self.up_heads or self.heads) if up else self.heads


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Widths, levels and attention of a UNet, as a method's config has them."""

  width: int = field.value(128, "channels of the finest level", low=1)
  multipliers: tuple = field.value(
    (1, 2, 2, 4), "widths of the levels over the finest one's, finest first"
  )
  blocks: int = field.value(2, "residual blocks per level", low=1)
  attend_at: tuple = field.value((4, 8), "downsampling factors with attention")
  heads: int = field.value(4, "attention heads; 0: by head_width", low=0)
  head_width: int = field.value(32, "channels of a head", low=1)
  norm_groups: int = field.value(32, "groups of the norms", low=1)
  dropout: float = field.value(
    0.1, "rate in the residual blocks", low=0.0, below=1.0
  )
  scale_shift: bool = field.value(False, "time as scale and shift")
  updown: bool = field.value(False, "resample in residual blocks")
  resample_conv: bool = field.value(True, "else resample by convolutions")
  up_heads: int = field.value(0, "heads going up; 0: as heads", low=0)

  def net(self, **options: Any) -> UNet:
    """The network; `options`: the other fields of `UNet`."""
    return UNet(
      width=self.width,
      multipliers=self.multipliers,
      blocks=self.blocks,
      attend_at=self.attend_at,
      heads=self.heads,
      head_width=self.head_width,
      groups=self.norm_groups,
      scale_shift=self.scale_shift,
      updown=self.updown,
      resample_conv=self.resample_conv,
      up_heads=self.up_heads,
      **options,
    )

  def check(self, side: int) -> None:
    """Raises ValueError unless a UNet on images of that side can be built."""
    least = 2 ** (len(self.multipliers) - 1)
    if side % least:
      raise ValueError(
        f"image side (size) {side} does not divide by {least}: "
        f"{len(self.multipliers)} multipliers, each level half of the one above"
      )
    for times in self.multipliers:
      width = times * self.width
      if self.heads and width % self.heads:
        raise ValueError(f"width {width} does not divide by {self.heads} heads")
      if not self.heads and width % self.head_width:
        raise ValueError(
          f"width {width} does not divide by head_width {self.head_width}"
        )
      if width % self.norm_groups:
        raise ValueError(
          f"width {width} does not divide by {self.norm_groups} norm_groups"
        )
