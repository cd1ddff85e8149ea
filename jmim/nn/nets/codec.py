"""The convolutional autoencoder of latent diffusion.

Rombach et al. 2022 (CompVis/latent-diffusion@a506df5, `Encoder`, `Decoder`),
also the AutoencoderKL of Stable Diffusion. GroupNorm with eps 1e-6, SiLU,
residual blocks without time, one head of attention. NHWC.

The decoder ends before its last convolution, see `nn.nets.autoencoder`.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import sizes
from jmim.nn.nets import codec_blocks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
  """Widths and depths of an autoencoder.

  Attributes:
    width: channels of the finest level.
    multipliers: of each level, finest first; each level halves the side.
    latent: channels z between encoder and decoder.
    blocks: residual blocks per level going down; one more going up.
    attend_at: downsampling factors (1, 2, 4, ...) with attention; the middle
      always has it.
    embed: channels of the code, after a 1 x 1 convolution; 0: `latent`.
    channels: of the images.
    norm_groups: of the norms; 0: 32 as published, of other widths one per 4
      channels.
  """

  width: int = 128
  multipliers: tuple[int, ...] = (1, 2, 4)
  latent: int = 3
  blocks: int = 2
  attend_at: tuple[int, ...] = ()
  embed: int = 0
  channels: int = 3
  norm_groups: int = 0

  @property
  def factor(self) -> int:
    """Side of an image over that of its code."""
    return 2 ** (len(self.multipliers) - 1)

  @property
  def code(self) -> int:
    """Channels of the code."""
    return self.embed or self.latent

  @property
  def groups(self) -> int:
    """Of the norms."""
    usual = max(1, self.width // 4) if self.width % 32 else 32
    return self.norm_groups or usual

  @property
  def flat(self) -> "Size":
    """That of a decoder which stays at the code's side.

    All of its levels have that side, so attention is at every one of them or
    at none: as the coarsest level of the encoder has it.
    """
    everywhere = tuple(2**n for n in range(len(self.multipliers)))
    attends = self.factor in self.attend_at
    return dataclasses.replace(self, attend_at=everywhere if attends else ())

  def check(self, side: int) -> None:
    """Raises ValueError unless images of this side can be coded."""
    if side % self.factor:
      raise ValueError(
        f"size {side} does not divide by {self.factor}: "
        f"{len(self.multipliers)} multipliers, each level half of the last"
      )
    if self.width % self.groups:
      raise ValueError(
        f"width {self.width} does not divide by {self.groups} groups"
      )


# Of the paper's table, all with 2 blocks per level, images of 256 pixels; then
# those of Kim and Kim 2024 ("ae": neither a posterior nor a codebook).
SIZES = {
  "kl-f4": Size(width=128, multipliers=(1, 2, 4), latent=3),
  "kl-f8": Size(width=128, multipliers=(1, 2, 4, 4), latent=4),
  "kl-f16": Size(
    width=128, multipliers=(1, 1, 2, 2, 4), latent=16, attend_at=(16,)
  ),
  "kl-f32": Size(
    width=128, multipliers=(1, 1, 2, 2, 4, 4), latent=64, attend_at=(16, 32)
  ),
  "vq-f4": Size(width=128, multipliers=(1, 2, 4), latent=3),
  "vq-f8": Size(width=128, multipliers=(1, 2, 2, 4), latent=4, attend_at=(8,)),
  "vq-f8-n256": Size(
    width=128, multipliers=(1, 2, 2, 4), latent=4, attend_at=(8,)
  ),
  "vq-f16": Size(
    width=128, multipliers=(1, 1, 2, 2, 4), latent=8, attend_at=(16,)
  ),
  # ResShift's of faces of 512 pixels; its multipliers are from memory.
  "vq-f8-z8": Size(width=128, multipliers=(1, 2, 4, 8), latent=8),
  "ae-f4": Size(width=128, multipliers=(1, 2, 4), latent=3),
  "kl-f4-z32": Size(width=128, multipliers=(1, 2, 4), latent=32),
  # VA-VAE's (Yao et al. 2025) are of factor 16; of factor 4: small images.
  "kl-f4-z16": Size(width=128, multipliers=(1, 2, 4), latent=16),
  "kl-f16-z32": Size(
    width=128, multipliers=(1, 1, 2, 2, 4), latent=32, attend_at=(16,)
  ),
  "kl-f16-z64": Size(
    width=128, multipliers=(1, 1, 2, 2, 4), latent=64, attend_at=(16,)
  ),
  "ae-f2": Size(width=32, multipliers=(1, 2), latent=4, blocks=1),  # ours
}


def size(variant: str, **changes: Any) -> Size:
  """One of SIZES, see `sizes.named`."""
  return sizes.named(variant, SIZES, **changes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """A named autoencoder with overrides, as a method's config has it."""

  variant: str = field.value(
    "kl-f8", "kind and factor of downsampling", choices=tuple(SIZES)
  )
  width: int = field.value(0, "finest level; 0: that of variant", low=0)
  multipliers: tuple = field.value(
    (), "widths of the levels over the finest one's; (): those of variant"
  )
  latent: int = field.value(0, "channels z; 0: those of variant", low=0)
  embed: int = field.value(0, "channels of the code; 0: latent", low=0)
  blocks: int = field.value(0, "blocks per level; 0: those of variant", low=0)
  attend_at: tuple = field.value((), "downsampling factors with attention")
  norm_groups: int = field.value(
    0, "groups of the norms; 0: 32, or one per 4 channels", low=0
  )

  def size(self, channels: int, kind: str | tuple[str, ...]) -> Size:
    """The variant's size with the overrides, for images of so many channels.

    Raises:
      ValueError: the variant is of no such kind: "kl", "vq" or "ae".
    """
    if not self.variant.startswith(kind):
      raise ValueError(
        f"dims.variant {self.variant!r} is none of "
        + ", ".join(name for name in SIZES if name.startswith(kind))
      )
    changes = {k: v for k, v in vars(self).items() if k != "variant"}
    return size(self.variant, channels=channels, **changes)


class _Levels(nn.Module):
  """What encoder and decoder share: blocks by name."""

  size: Size
  rt: runtime.Runtime = runtime.Runtime()

  def _blocks(self, y, level: int, n: int, stem: str):
    """Residual blocks of a level, with attention where the level has it."""
    s = self.size
    for i in range(n):
      y = self._block(s.multipliers[level] * s.width, f"{stem}{level}_{i}")(y)
      if 2**level in s.attend_at:
        y = self._attention(f"{stem}{level}_{i}_attention")(y)
    return y

  def _middle(self, y):
    width = y.shape[-1]
    y = self._block(width, "middle_0")(y)
    y = self._attention("middle_attention")(y)
    return self._block(width, "middle_1")(y)

  def _block(self, width, name):
    return codec_blocks.Block(width, self.size.groups, self.rt, name=name)

  def _attention(self, name):
    return codec_blocks.Attention(self.size.groups, self.rt, name=name)

  def _conv(self, width, name, **kw):
    return conv.conv3(self.rt, width, name, kernel_init=conv.TORCH, **kw)

  def _norm(self, y):
    norm = conv.group_norm(
      self.rt, self.size.groups, "norm_out", codec_blocks.EPS
    )
    return nn.silu(norm(y))


class Encoder(_Levels):
  """Images to what a latent is made of.

  Attributes:
    size: of the autoencoder.
    rt: execution choices.
    out: 2: mean and log variance (KL); 1: the code (VQ).
  """

  out: int = 2

  @nn.compact
  def __call__(
    self, x: jax.Array, part: str = "whole"
  ) -> tuple[jax.Array, jax.Array] | jax.Array:
    """[b, H, W, c] -> [b, h, w, out * code] float32, and what `quant` saw.

    Args:
      x: images; for "tail" what "trunk" returns.
      part: "trunk" ends with [b, h, w, d], what `conv_out` reads, and "tail"
        begins there.
    """
    y = x if part == "tail" else self._trunk(x)
    return y if part == "trunk" else self._tail(y)

  def _trunk(self, x):
    s = self.size
    y = self.rt.shard(self._conv(s.width, "conv_in")(x.astype(self.rt.dtype)))
    for level in range(len(s.multipliers)):
      y = self._blocks(y, level, s.blocks, "down")
      if level < len(s.multipliers) - 1:
        down = f"down{level}_conv"
        y = self._conv(y.shape[-1], down, stride=2, pad=(0, 1))(y)
    return self._norm(self._middle(y))

  def _tail(self, y):
    s = self.size
    hidden = self._conv(self.out * s.latent, "conv_out")(y)
    dense = nn.Dense(
      self.out * s.code,
      dtype=self.rt.dtype,
      kernel_init=conv.TORCH,
      name="quant",
    )
    return dense(hidden).astype(jnp.float32), hidden.astype(jnp.float32)


class Decoder(_Levels):
  """Codes to the features that the last convolution reads.

  Attributes:
    size: of the autoencoder.
    rt: execution choices.
    flat: stays at the code's side and ends without a norm; `size.flat` is then
      its size.
  """

  flat: bool = False

  @nn.compact
  def __call__(self, z: jax.Array) -> jax.Array:
    """[b, h, w, code] -> [b, H, W, width * multipliers[0]]; flat: h, w."""
    s, last = self.size, len(self.size.multipliers) - 1
    y = nn.Dense(
      s.latent, dtype=self.rt.dtype, kernel_init=conv.TORCH, name="post_quant"
    )(z.astype(self.rt.dtype))
    y = self._conv(s.multipliers[last] * s.width, "conv_in")(y)
    y = self._middle(self.rt.shard(y))
    for level in reversed(range(last + 1)):
      y = self._blocks(y, level, s.blocks + 1, "up")
      if level and not self.flat:
        y = self._conv(y.shape[-1], f"up{level}_conv")(conv.twice(y))
    return y if self.flat else self._norm(y)
