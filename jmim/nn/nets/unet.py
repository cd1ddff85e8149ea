"""The time-conditional UNet of latent diffusion and its relatives.

Rombach et al. 2022 (CompVis/latent-diffusion@a506df5, `UNetModel`): residual
blocks with the time embedding added (or as scale and shift), self-attention
or, with a context, transformer blocks with cross-attention; `nn/unet.py` has
its layers. Images NHWC.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.nn import adaln
from jmim.nn import bank as banks
from jmim.nn import posemb
from jmim.nn import spatial
from jmim.nn import unet
from jmim.nn import unet_blocks


class UNet(unet.Layers, kw_only=True):
  """Noisy image and time to a prediction of the same side.

  Attributes:
    upward: whether it goes up again; else the output is the middle's map.
  """

  upward: bool = True

  def __call__(
    self,
    x: jax.Array,
    t: jax.Array,
    label: jax.Array | None = None,
    context: jax.Array | spatial.Contexts | None = None,
    *,
    code: jax.Array | None = None,
    modulations: Sequence[unet_blocks.Modulation] = (),
    bank: banks.Bank | None = None,
    stem: str = "conv_in",
  ) -> jax.Array:
    """Predicts for [b, h, w, c]; h and w divide by 2^(levels - 1).

    Args:
      x: noisy image, with concatenated conditions if there are any.
      t: [b] times.
      label: [b] int; needed if there are classes.
      context: [b, s, e], or such by name (`contexts`) of which some are given;
        needed if there is a transformer.
      code: [b, d]; needed if it is to do something.
      modulations: what the residual blocks are told beside time and code.
      bank: keys and values that each self-attention sees beside its own.
      stem: name of the first convolution; another one may read other channels.

    Returns:
      [b, h, w, out] float32, 0 at the start; or what the middle gives, float32.

    Raises:
      ValueError: a code is there and not used, or used and not there; or a
        bank of other self-attentions.
    """
    more = dict(modulations=modulations, bank=bank, stem=stem)
    return self.tapped(x, t, label, context, code=code, **more)[0]

  @nn.compact
  def tapped(
    self,
    x: jax.Array,
    t: jax.Array,
    label: jax.Array | None = None,
    context: jax.Array | spatial.Contexts | None = None,
    *,
    code: jax.Array | None = None,
    modulations: Sequence[unet_blocks.Modulation] = (),
    bank: banks.Bank | None = None,
    stem: str = "conv_in",
  ) -> tuple[jax.Array, unet.Taps]:
    """The prediction and what is inside; arguments are those of a call."""
    self._known(code)
    emb = self._embed(t, label, code)
    seen = unet.Seen(self._told(emb, code, modulations), context, {}, [])
    with banks.shown(self.path, bank) as own:
      skips = self._down(x, seen, stem)
      middle = y = self._middle(skips[-1], seen)
      y = self._up(y, seen, skips) if self.upward else y.astype(jnp.float32)
    taps = unet.Taps(
      emb=emb,
      skips=tuple(skips),
      middle=middle,
      attention=seen.tokens,
      bank=own,
      ups=tuple(seen.ups),
    )
    return y, taps

  def _embed(self, t, label, code):
    """[b, e] of time, label and code, through the blocks' SiLU."""
    wide = self.embedded
    emb = adaln.TimeEmbed(
      width=wide,
      hidden=wide,
      waves=self.time_waves or self.width,
      order=self.time_order,
      inclusive=self.time_inclusive,
      std=0.0,
      rt=self.rt,
      name="time_embed",
    )(t)
    if self.classes:
      emb = emb + adaln.label_table(self.classes, wide, self.rt)(label)
    if self.code == "added":
      hidden = nn.silu(self._dense(wide, "code_fc1")(code))
      emb = emb + self._dense(wide, "code_fc2")(hidden)
    return nn.silu(emb)


class Branch(unet.Layers, kw_only=True):
  """A second middle, way up and head that read the skips of a UNet.

  Its fields are those of that UNet, but for what its own code does ("added" is
  the UNet's alone). It has no embedding of its own.
  """

  @nn.compact
  def __call__(
    self,
    skips: Sequence[jax.Array],
    emb: jax.Array,
    *,
    context: jax.Array | spatial.Contexts | None = None,
    code: jax.Array | None = None,
    modulations: Sequence[unet_blocks.Modulation] = (),
  ) -> jax.Array:
    """A prediction beside the UNet's own.

    Args:
      skips: of the UNet's taps.
      emb: of the UNet's taps.
      context: [b, s, e], or such by name (`contexts`) of which some are given;
        needed if there is a transformer.
      code: [b, d]; needed if it is to do something.
      modulations: of the residual blocks, beside time and code.

    Returns:
      [b, h, w, out] float32, 0 at the start.

    Raises:
      ValueError: a code is there and not used, used and not there, or added.
    """
    self._known(code)
    if self.code == "added":
      raise ValueError("code='added' in a branch, which has no embedding")
    seen = unet.Seen(self._told(emb, code, modulations), context, {}, [])
    return self._up(self._middle(skips[-1], seen), seen, skips)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Widths, levels and attention of a UNet, as a method's config has them."""

  width: int = field.value(128, "channels of the finest level", low=1)
  multipliers: tuple = field.value(
    (1, 2, 2, 4), "widths of the levels over the finest one's, finest first"
  )
  blocks: int = field.value(2, "residual blocks per level", low=1)
  level_blocks: tuple = field.value(
    (), "residual blocks of each level, finest first; (): `blocks` in all"
  )
  attend_at: tuple = field.value((4, 8), "downsampling factors with attention")
  attend_first: bool = field.value(
    False, "attention after the first block of such a level alone"
  )
  heads: int = field.value(
    4, "attention heads; 0: by head_width", low=0, unseen=True
  )
  level_heads: tuple = field.value(
    (),
    "attention heads of each level, finest first; (): `heads` in all",
    unseen=True,
  )
  head_width: int = field.value(32, "channels of a head", low=1, unseen=True)
  norm_groups: int = field.value(32, "groups of the norms", low=1, unseen=True)
  dropout: float = field.value(
    0.1, "rate in the residual blocks", low=0.0, below=1.0
  )
  scale_shift: bool = field.value(False, "time as scale and shift")
  updown: bool = field.value(False, "resample in residual blocks")
  resample_conv: bool = field.value(True, "else resample by convolutions")
  up_heads: int = field.value(
    0, "heads going up; 0: as heads", low=0, unseen=True
  )
  wide_stem: bool = field.value(
    False, "first convolution as wide as the finest level; else width"
  )
  time_width: int = field.value(
    0, "embedding of time and label; 0: 4 width", low=0
  )
  time_waves: int = field.value(0, "sinusoid of a time; 0: width", low=0)
  time_order: str = field.value(
    "cos_sin",
    "order of that sinusoid",
    choices=posemb.TIME_ORDERS,
    unseen=True,
  )
  time_inclusive: bool = field.value(
    False,
    "the last frequency of that sinusoid is 1/10000; else above it",
    unseen=True,
  )
  norm_eps: float = field.value(
    1e-5,
    "eps of the norms, but for those of transformers",
    above=0.0,
    unseen=True,
  )
  late_pad: bool = field.value(
    False, "convolutions that halve the side pad behind alone", unseen=True
  )

  def net(self, **options: Any) -> UNet:
    """The network; `options`: the other fields of `UNet`."""
    return UNet(**self.fields(), **options)

  def branch(self, **options: Any) -> Branch:
    """A branch of that network; `options`: the other fields of `Branch`."""
    return Branch(**self.fields(), **options)

  def fields(self) -> dict[str, Any]:
    """What the network has of these dimensions; dropout is its caller's."""
    return dict(
      width=self.width,
      multipliers=self.multipliers,
      blocks=self.level_blocks or self.blocks,
      attend_at=self.attend_at,
      attend_first=self.attend_first,
      heads=self.level_heads or self.heads,
      head_width=self.head_width,
      groups=self.norm_groups,
      scale_shift=self.scale_shift,
      updown=self.updown,
      resample_conv=self.resample_conv,
      up_heads=self.up_heads,
      wide_stem=self.wide_stem,
      time_width=self.time_width,
      time_waves=self.time_waves,
      time_order=self.time_order,
      time_inclusive=self.time_inclusive,
      norm_eps=self.norm_eps,
      late_pad=self.late_pad,
    )

  def check(self, side: int) -> None:
    """Raises ValueError unless a UNet on images of that side can be built."""
    least = 2 ** (len(self.multipliers) - 1)
    if side % least:
      raise ValueError(
        f"image side (size) {side} does not divide by {least}: "
        f"{len(self.multipliers)} multipliers, each level half of the one above"
      )
    self._check_levels()
    counts = self.level_heads or (self.heads,) * len(self.multipliers)
    levels = zip(self.multipliers, counts, strict=True)
    for level, (times, heads) in enumerate(levels):
      width = times * self.width
      # In the middle, which is as wide as the coarsest level, there always is.
      attends = 2**level in self.attend_at or 2**level == least
      if attends and heads and width % heads:
        raise ValueError(f"width {width} does not divide by {heads} heads")
      if attends and not heads and width % self.head_width:
        raise ValueError(
          f"width {width} does not divide by head_width {self.head_width}"
        )
      if width % self.norm_groups:
        raise ValueError(
          f"width {width} does not divide by {self.norm_groups} norm_groups"
        )

  def _check_levels(self):
    """A number for each level, or none."""
    levels = len(self.multipliers)
    for name in ("level_blocks", "level_heads"):
      each = getattr(self, name)
      if each and (len(each) != levels or min(each) < 1):
        raise ValueError(
          f"dims.{name}={each} with {levels} multipliers: one number, at least "
          "1, for each level"
        )
