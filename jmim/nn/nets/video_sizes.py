"""Sizes of causal autoencoders of clips, in two layouts.

"deep": Step-Video's Video-VAE (Ma et al. 2025), with dual paths (its version 2)
and without (its first stage). "adaptive": LaVin-DiT's ST-VAE (Wang et al.
2025), whose decoder's norms are scaled and shifted by the latents.
"""

import dataclasses
from typing import Any

from jmim.core import field
from jmim.nn import sizes

LAYOUTS = ("deep", "adaptive")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
  """Widths, depths and factors of an autoencoder of clips.

  Attributes:
    layout: of LAYOUTS.
    width: of the first convolution; a level has `multipliers` times as much.
    multipliers: of each level, finest first; each level halves the side.
    code: channels of the latents.
    blocks: residual blocks per level going down; one more going up.
    time_down: levels (0: the finest) after which the encoder halves time, too.
    time_up: levels after which the decoder doubles time; as many.
    dual: between the coarsest level and the latents, cubes of 2 x 2 x 2
      become channels, by a convolution and beside it by grouped means.
    chunk: frames that are coded together, apart from all others; 0: all.
    channels: of the frames.
    norm_groups: of the norms; 0: 32 as published, of other widths one per 4
      channels.
    clip_norms: of "deep": norms are of all frames of a chunk, not of each, as
      the authors' code has it without dual paths; then it is not causal.
  """

  layout: str = "deep"
  width: int = 32
  multipliers: tuple[int, ...] = (4, 8, 16, 16)
  code: int = 64
  blocks: int = 2
  time_down: tuple[int, ...] = (1, 2)
  time_up: tuple[int, ...] = (2, 3)
  dual: bool = True
  chunk: int = 17
  channels: int = 3
  norm_groups: int = 0
  clip_norms: bool = False

  @property
  def factor(self) -> int:
    """Side of a frame over that of its latents."""
    return 2 ** (len(self.multipliers) - 1 + self.dual)

  @property
  def time_factor(self) -> int:
    """Frames that another latent frame stands for, after the first."""
    return 2 ** (len(self.time_down) + self.dual)

  @property
  def inner(self) -> int:
    """Channels of the dual paths: 4 x 2^3 per channel of the latents."""
    return 32 * self.code

  @property
  def groups(self) -> int:
    """Of the norms."""
    usual = max(1, self.width // 4) if self.width % 32 else 32
    return self.norm_groups or usual

  @property
  def latent_chunk(self) -> int:
    """Latent frames of a chunk; 0: there are no chunks."""
    return self._latents(self.chunk) if self.chunk else 0

  def latents(self, frames: int) -> int:
    """Latent frames of a clip: of its chunks, one by one."""
    whole, rest = divmod(frames, self.chunk or frames)
    return whole * self._latents(self.chunk or frames) + self._latents(rest)

  def frames(self, latents: int) -> int:
    """Frames of so many latent ones; inverse of `latents`."""
    whole, rest = divmod(latents, self.latent_chunk or latents)
    each = self.latent_chunk or latents
    back = lambda n: 1 + (n - 1) * self.time_factor if n else 0
    return whole * back(each) + back(rest)

  def _latents(self, frames: int) -> int:
    """Of one chunk."""
    return -(-frames // self.time_factor)

  def check(self, side: int, frames: int = 1) -> None:
    """Raises ValueError unless clips of this size can be coded and decoded.

    Args:
      side: of a frame.
      frames: of a clip.
    """
    self._check_levels()
    if side % self.factor:
      raise ValueError(
        f"size {side} does not divide by {self.factor}: "
        f"{len(self.multipliers)} multipliers, each level half of the last"
        + (", and dual paths" if self.dual else "")
      )
    if self.latents(frames) and self.frames(self.latents(frames)) != frames:
      raise ValueError(
        f"frames {frames} in chunks of {self.chunk or frames}: a chunk, and "
        f"what is left, has 1 + {self.time_factor} k frames (dims.chunk, "
        "dims.time_down)"
      )

  def _check_levels(self) -> None:
    last = len(self.multipliers) - 1
    down, up = self.time_down, self.time_up
    fits = lambda levels, low, high: (
      len(set(levels)) == len(levels) and all(low <= n <= high for n in levels)
    )
    if not fits(down, 0, last - 1) or not fits(up, 1, last):
      raise ValueError(
        f"dims.time_down {down} and dims.time_up {up}: levels 0 to {last - 1} "
        f"going down, and 1 to {last} going up"
      )
    if len(down) != len(up):
      raise ValueError(
        f"dims.time_down {down} halves time {len(down)} times, dims.time_up "
        f"{up} doubles it {len(up)} times"
      )
    if self.dual and self.layout != "deep":
      raise ValueError(
        f"dims.dual with the layout {self.layout!r}: deep has it"
      )
    self._check_widths()

  def _check_widths(self) -> None:
    widths = [self.width * m for m in self.multipliers]
    odd = [w for w in widths if w % self.groups]
    if odd:
      raise ValueError(f"widths {odd} do not divide by {self.groups} groups")
    wide = 8 * widths[-1]
    if self.dual and wide % self.inner:
      raise ValueError(
        f"dual paths: cubes of the coarsest level have {wide} channels, no "
        f"multiple of {self.inner}, 32 dims.code (dims.width)"
      )


_ADAPTIVE = dict(layout="adaptive", dual=False, chunk=0)
SIZES = {
  # Factor in time x factor in space.
  "deep-f8x16": Size(),
  "deep-f4x8": Size(dual=False, code=16),
  "adaptive-f4x8": Size(
    width=128,
    multipliers=(1, 2, 2, 4),
    code=16,
    blocks=3,
    time_down=(0, 1),
    **_ADAPTIVE,
  ),
  # Ours, for clips of 5 frames of 16 and 32 pixels.
  "deep-f4x4": Size(
    width=16,
    multipliers=(1, 2),
    code=8,
    blocks=1,
    time_down=(0,),
    time_up=(1,),
    chunk=5,
  ),
  "deep-f2x2": Size(
    width=16,
    multipliers=(1, 2),
    code=8,
    blocks=1,
    time_down=(0,),
    time_up=(1,),
    dual=False,
    chunk=5,
  ),
  "adaptive-f2x4": Size(
    width=16,
    multipliers=(1, 2, 2),
    code=8,
    blocks=1,
    time_down=(0,),
    time_up=(2,),
    **_ADAPTIVE,
  ),
}


def size(variant: str, **changes: Any) -> Size:
  """One of SIZES, see `sizes.named`."""
  return sizes.named(variant, SIZES, **changes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """A named autoencoder of clips with overrides, as a config has it."""

  variant: str = field.value(
    "deep-f8x16",
    "layout and factors in time and space",
    choices=tuple(SIZES),
  )
  width: int = field.value(
    0, "width of the first convolution; 0: that of variant", low=0
  )
  multipliers: tuple = field.value(
    (), "widths of the levels over that one; (): those of variant"
  )
  code: int = field.value(
    0, "channels of the latents; 0: those of variant", low=0
  )
  blocks: int = field.value(0, "blocks per level; 0: those of variant", low=0)
  time_down: tuple = field.value(
    (), "levels after which time halves; (): those of variant"
  )
  time_up: tuple = field.value(
    (), "levels after which time doubles; (): those of variant"
  )
  chunk: int = field.value(
    0, "frames coded together, of a deep one; 0: those of variant", low=0
  )
  norm_groups: int = field.value(
    0, "groups of the norms; 0: 32, or one per 4 channels", low=0
  )

  def size(self, channels: int = 3) -> Size:
    """The variant's size with the overrides, for frames of so many channels.

    Raises:
      ValueError: unknown variant.
    """
    changes = {k: v for k, v in vars(self).items() if k != "variant"}
    return size(self.variant, channels=channels, **changes)
