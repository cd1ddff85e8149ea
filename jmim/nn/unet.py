"""Layers of the time-conditional UNet of latent diffusion and its relatives.

Rombach et al. 2022 (CompVis/latent-diffusion@a506df5, `UNetModel`), Dhariwal
and Nichol 2021 (guided-diffusion). `unet_blocks.py` has the residual block,
`spatial.py` its attention, `nets/unet.py` the networks. Images NHWC.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import runtime
from jmim.nn import bank as banks
from jmim.nn import context_block
from jmim.nn import conv
from jmim.nn import spatial
from jmim.nn import unet_blocks

CODES = ("", "added", "scale", "gain")


class Seen(NamedTuple):
  """What all layers read, and what attention leaves behind.

  Attributes:
    told: modulations of the residual blocks, time and label first.
    context: [b, s, d] of cross-attention, several by name, or None.
    tokens: filled on the way, see `Taps.attention`.
    ups: filled on the way, see `Taps.ups`.
  """

  told: tuple[unet_blocks.Modulation, ...]
  context: jax.Array | spatial.Contexts | None
  tokens: dict[str, jax.Array]
  ups: list[jax.Array]


class Taps(NamedTuple):
  """What is inside a network.

  Attributes:
    emb: [b, e], what the residual blocks read of time and label.
    skips: maps that the way up reads, finest first: of the first convolution,
      of each block (and its attention) and of each change of side.
    middle: [b, h', w', c], the map behind the middle.
    attention: path of parameters -> [b, h w, c], what each self-attention
      gave, its output projection included, before it is added.
    bank: of each self-attention by the same name its own keys and values, [b,
      heads, h w, d], after the linear maps; {} where others stand for them.
    ups: maps of each block (and its attention) of the way up, coarsest first.
  """

  emb: jax.Array
  skips: tuple[jax.Array, ...]
  middle: jax.Array
  attention: dict[str, jax.Array]
  bank: banks.Bank
  ups: tuple[jax.Array, ...] = ()


class Layers(nn.Module, kw_only=True):
  """What a UNet and a branch of it are made of; neither by itself.

  Attributes:
    width: channels of the finest level; a multiple of `heads`.
    multipliers: of each level, finest first.
    out: channels of the prediction.
    blocks: residual blocks per level going down, a number or one for each
      level; one more going up.
    attend_at: downsampling factors (1, 2, 4, ...) with attention.
    attend_first: there it follows the first block of a level alone.
    heads: of attention, one number or each level's; 0: by `head_width`.
    classes: labels, `classes` = none, added to the time; 0: no table.
    dropout: rate in the residual blocks.
    scale_shift: time acts as a scale and shift; else it is added.
    transformer: blocks of cross-attention to a context; 0: self-attention; a
      tuple: of each level, the middle as the last.
    contexts: those by name, each with a transformer of its own in every place;
      (): one, without a name.
    join: makes one map of those of several transformers.
    self_attention: stands where it does, see `context_block`; None: that one.
    mixer: makes what stands where `nn.spatial`'s attention or transformer
      does, called alike, from (heads=, groups=, factor=, rt=, name=), factor
      how much smaller the map is than the finest; None: those.
    code: what a code vector does: "added" to the time; "scale": a second scale
      and shift in each residual block; "gain": a scale alone, of the code as it
      is; "": there is none.
    groups: of the norms.
    updown: sides change in residual blocks, by means and repetition, instead
      of in convolutions.
    resample_conv: without `updown`, sides change in convolutions; else by
      means and repetition alone.
    wide_stem: the first convolution is as wide as the finest level
      (guided-diffusion); else `width` channels.
    time_width: of the embedding of time and label; 0: 4 width.
    time_waves: numbers of its sinusoid; 0: width.
    time_order: of its sinusoid, see `posemb.sinusoid`.
    time_inclusive: of its sinusoid, see there too.
    head_width: channels of a head, where `heads` does not fix their number.
    up_heads: of the way up, where `heads` fixes their number; 0: as many.
    norm_eps: of the norms, but for those of transformers.
    late_pad: convolutions that halve the side pad behind alone.
    single: residual blocks have their first convolution alone.
    rt: execution choices.
  """

  width: int = 128
  multipliers: Sequence[int] = (1, 2, 2, 4)
  out: int = 3
  blocks: int | Sequence[int] = 2
  attend_at: Sequence[int] = (4, 8)
  attend_first: bool = False
  heads: int | Sequence[int] = 4
  classes: int = 0
  dropout: float = 0.0
  scale_shift: bool = False
  transformer: int | tuple[int, ...] = 0
  contexts: Sequence[spatial.Context] = ()
  join: Callable[[Sequence[jax.Array]], jax.Array] = spatial.mean
  self_attention: context_block.SelfAttention | None = None
  mixer: Callable[..., nn.Module] | None = None
  code: str = ""
  groups: int = 32
  updown: bool = False
  resample_conv: bool = True
  wide_stem: bool = False
  time_width: int = 0
  time_waves: int = 0
  time_order: str = "cos_sin"
  time_inclusive: bool = False
  head_width: int = 32
  up_heads: int = 0
  norm_eps: float = 1e-5
  late_pad: bool = False
  single: bool = False
  rt: runtime.Runtime = runtime.Runtime()

  @property
  def blocks_at(self) -> tuple[int, ...]:
    """Residual blocks of each level going down."""
    if isinstance(self.blocks, int):
      return (self.blocks,) * len(self.multipliers)
    return tuple(self.blocks)

  @property
  def stem(self) -> int:
    """Channels of the first convolution."""
    return self.width * (self.multipliers[0] if self.wide_stem else 1)

  @property
  def embedded(self) -> int:
    """Width of the embedding of time and label."""
    return self.time_width or 4 * self.width

  def heads_at(self, level: int, up: bool = False) -> int:
    """Attention heads of a level, going down or up."""
    heads = self.heads
    if not heads:
      return self.width * self.multipliers[level] // self.head_width
    heads = heads if isinstance(heads, int) else heads[level]
    return (self.up_heads or heads) if up else heads

  def depth_at(self, level: int) -> int:
    """Blocks of a level's transformer (-1: the middle); 0: none."""
    deep = self.transformer
    return deep[level] if isinstance(deep, tuple) else deep

  def attends(self, level: int, i: int) -> bool:
    """Whether attention follows block i of a level."""
    here = 2**level in self.attend_at
    return here and not (self.attend_first and i)

  def scales(self, taps: Taps) -> tuple[jax.Array, ...]:
    """The last map of each level, [b, h, w, c] of 2 levels + 1 scales.

    Going down (finest first), of the middle, and going up (coarsest first).
    """
    blocks = np.asarray(self.blocks_at)
    # Before the blocks of a level there is the first convolution, or a change.
    down = np.cumsum(1 + blocks) - 1
    up = np.cumsum(1 + blocks[::-1]) - 1
    at = lambda maps, places: [maps[i] for i in places]
    return (*at(taps.skips, down), taps.middle, *at(taps.ups, up))

  def _known(self, code):
    """Raises ValueError unless there is a code where one is read."""
    if self.code not in CODES:
      raise ValueError(f"code {self.code!r}: known are {CODES}")
    if bool(self.code) != (code is not None):
      raise ValueError(f"code={self.code!r} of a UNet that is given {code}")

  def _dense(self, width, name):
    return nn.Dense(width, dtype=self.rt.dtype, name=name)

  def _told(self, emb, code, more):
    """Modulations: time and label, a code of that kind, and more."""
    form = "scale_shift" if self.scale_shift else "added"
    told = [unet_blocks.Modulation("time", emb, form)]
    if self.code == "scale":
      code = nn.silu(self._dense(self.embedded, "code_embed")(code))
      told.append(unet_blocks.Modulation("code", code))
    if self.code == "gain":
      told.append(unet_blocks.Modulation("code", nn.silu(code), "scale"))
    return (*told, *more)

  def _res(self, times, name, resample=""):
    return unet_blocks.ResBlock(
      width=times * self.width,
      dropout=self.dropout,
      groups=self.groups,
      rt=self.rt,
      resample=resample,
      eps=self.norm_eps,
      single=self.single,
      name=name,
    )

  def _stage(self, y, seen, *, level, i, name):
    """Residual block i of a level and, at some, attention."""
    y = self._res(self.multipliers[level], name)(y, seen.told)
    if self.attends(level, i):
      y = self._attention(y, seen, level=level, name=f"{name}_attention")
    return y

  def _attention(self, y, seen, *, level, name):
    heads = self.heads_at(level, up=name.startswith("up"))
    options = dict(heads=heads, groups=self.groups, rt=self.rt, name=name)
    if self.mixer:
      factor = 2 ** (level % len(self.multipliers))
      made = self.mixer(factor=factor, **options)
    else:
      made = self._spatial(level, **options)
    y, tokens = made(y, seen.context)
    seen.tokens.update({f"{name}/{part}": x for part, x in tokens.items()})
    return y

  def _spatial(self, level, **options):
    options["self_attention"] = self.self_attention
    if not (depth := self.depth_at(level)):
      return spatial.SpatialAttention(eps=self.norm_eps, **options)
    options["depth"] = depth
    if not self.contexts:
      return spatial.SpatialTransformer(**options)
    own = {n: options.pop(n) for n in ("name", "heads")}
    return spatial.SeveralTransformers(
      contexts=self.contexts, join=self.join, options=options, **own
    )

  def _change(self, y, seen, *, name, how):
    """Another side, "half" or "twice" of `nn.conv`."""
    if self.updown:
      times = y.shape[-1] // self.width
      return self._res(times, f"{name}_{how}", how)(y, seen.told)
    if not self.resample_conv:
      return getattr(conv, how)(y)
    layer = f"{name}_conv"
    if how == "half":
      pad = (0, 1) if self.late_pad else (1, 1)
      return conv.conv3(self.rt, y.shape[-1], layer, 2, pad=pad)(y)
    return conv.conv3(self.rt, y.shape[-1], layer)(conv.twice(y))

  def _down(self, x, seen, stem):
    """All skips, finest first; the last is what the middle reads."""
    rt, levels = self.rt, len(self.multipliers)
    y = rt.shard(conv.conv3(rt, self.stem, stem)(x.astype(rt.dtype)))
    skips = [y]
    for level, blocks in enumerate(self.blocks_at):
      for i in range(blocks):
        y = self._stage(y, seen, level=level, i=i, name=f"down{level}_{i}")
        skips.append(y)
      if level < levels - 1:
        y = self._change(y, seen, name=f"down{level}", how="half")
        skips.append(y)
    return skips

  def _middle(self, y, seen):
    times = self.multipliers[-1]
    y = self._res(times, "middle_0")(y, seen.told)
    y = self._attention(y, seen, level=-1, name="middle_attention")
    return self._res(times, "middle_1")(y, seen.told)

  def _up(self, y, seen, skips):
    """[b, h, w, out] float32 from the middle's map and all skips."""
    skips = list(skips)
    for level, blocks in reversed(list(enumerate(self.blocks_at))):
      for i in range(blocks + 1):
        y = jnp.concatenate([y, skips.pop()], axis=-1)
        y = self._stage(y, seen, level=level, i=i, name=f"up{level}_{i}")
        seen.ups.append(y)
      if level:
        y = self._change(y, seen, name=f"up{level}", how="twice")
    norm = conv.group_norm(self.rt, self.groups, "norm_out", self.norm_eps)
    y = nn.silu(norm(y))
    y = conv.conv3(self.rt, self.out, "conv_out", zero=True)(y)
    return y.astype(jnp.float32)
