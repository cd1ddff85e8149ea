"""Encoder and decoder of Step-Video's Video-VAE.

Ma et al. 2025 (stepfun-ai/Step-Video-T2V@675e08c), equal to the authors' code
(`tests/golden`). Causal convolutions with zeros in front, GroupNorm of each
frame (eps 1e-5; `video_sizes.Size.clip_norms`: of all), attention of one head
over all places of a chunk, in which a place sees those before it in (time, row,
column). With dual paths the latents are cubes of 2 x 2 x 2: a convolution makes
their channels, and beside it means of groups of channels, or copies, go
straight through.

The decoder ends before its last convolution, see `nn.nets.video_codec`.
"""

import functools
from collections.abc import Callable

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import causal
from jmim.nn import causal_conv
from jmim.nn import conv
from jmim.nn import qkv
from jmim.nn.nets import video_blocks

Norm = Callable[..., Callable[..., jax.Array]]


class Attention(nn.Module, kw_only=True):
  """x + attention of one head; a place sees itself and those before it.

  The queries of a frame are computed apart: no frame reads the keys of later
  ones, which halves the work, and the mask is of one frame alone.

  Attributes:
    norm: makes a norm, from the keyword argument `name`.
    rt: execution choices.
  """

  norm: Norm
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, t, h, w, c] -> the same."""
    t, n, width = x.shape[1], x.shape[2] * x.shape[3], x.shape[-1]
    y = self.norm(name="norm")(x)
    q, k, v = qkv.Qkv(
      heads=1,
      use_bias=True,
      kernel_init=conv.TORCH,
      rt=self.rt,
      name="qkv",
    )(einops.rearrange(y, "b t h w c -> b (t h w) c"), None)
    seen = []
    for i in range(t):
      end = (i + 1) * n
      bias = causal.causal(n, end, i * n)[None, None]
      keys = (k[:, :, :end], v[:, :, :end])
      own = q[:, :, i * n : end]
      seen.append(attention.attend(own, *keys, bias=bias, rt=self.rt))
    y = jnp.concatenate(seen, axis=2)[:, 0]
    y = conv.conv1(self.rt, width, "proj")(y).reshape(x.shape)
    return self.rt.shard(x + y)


class Twice(nn.Module, kw_only=True):
  """Each frame and pixel twice, then two convolutions that are added.

  Attributes:
    norm: makes a norm, from the keyword argument `name`.
    rt: execution choices.
  """

  norm: Norm
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, t, h, w, c] -> [b, 2t, 2h, 2w, c]; the first frame is twice, too."""
    x = causal_conv.by_frame(conv.twice, jnp.repeat(x, 2, axis=1))
    y, width = x, x.shape[-1]
    for i in (1, 2):
      layer = causal_conv.CausalConv(width=width, rt=self.rt, name=f"conv{i}")
      y = self.norm(name=f"norm{i}")(layer(y))
      y = nn.silu(y) if i == 1 else y
    return self.rt.shard(nn.silu(y + x) + x)


class _Levels(video_blocks.Levels):
  """Those of this layout; norms are of single frames, or of the chunk."""

  @property
  def norm(self) -> Norm:
    """See `video_blocks.Levels`."""
    # One without `by_frame` takes its statistics of all frames.
    whole, single = conv.group_norm, causal_conv.frame_norm
    norm = whole if self.size.clip_norms else single
    return functools.partial(norm, self.rt, self.size.groups)

  def _middle(self, y):
    width = y.shape[-1]
    y = self.block(width, "middle_0")(y)
    y = Attention(norm=self.norm, rt=self.rt, name="middle_attention")(y)
    return self.block(width, "middle_1")(y)


class Encoder(_Levels):
  """Clips to what a latent is made of.

  Attributes:
    size: of the autoencoder.
    rt: execution choices.
    out: 2: mean and log variance; 1: one number per channel.
  """

  out: int = 2

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """One chunk [b, T, H, W, c] -> [b, t, h, w, out * code] float32."""
    s, last = self.size, len(self.size.multipliers) - 1
    y = self.conv(s.width, "conv_in")(x.astype(self.rt.dtype))
    for level in range(last + 1):
      y = self.blocks(y, "down", level=level, n=s.blocks)
      if level < last:
        y = self._down(y, level)
    y = self.normed_out(self._middle(y))
    width = self.out * s.code
    if not s.dual:
      return self.conv(width, "conv_out")(y).astype(jnp.float32)
    straight = causal_conv.grouped(causal_conv.unshuffle(y, 2), s.inner)
    y = self.conv(s.inner // 8, "conv_patchify")(y)
    y = causal_conv.unshuffle(y, 2) + straight
    made = self.conv(width, "conv_out")(y) + causal_conv.grouped(y, width)
    return made.astype(jnp.float32)

  def _down(self, y, level):
    """Half the side, and of some levels half the frames."""
    name, width = f"down{level}_conv", y.shape[-1]
    if level in self.size.time_down:
      return self.conv(width, name, stride=(2, 2, 2))(y)
    layer = self.flat_conv(width, name, stride=2, pad=(0, 1))
    return causal_conv.by_frame(layer, y)


class Decoder(_Levels):
  """Latents to the features that the last convolution reads."""

  @nn.compact
  def __call__(self, z: jax.Array) -> jax.Array:
    """One chunk [b, t, h, w, code] -> [b, T', H, W, width * multipliers[0]].

    T' are the frames of the chunk, and those before that are to be left out:
    one less than 2 to the number of levels that double time.
    """
    s, last = self.size, len(self.size.multipliers) - 1
    z, width = z.astype(self.rt.dtype), s.multipliers[last] * s.width
    y = self.conv(s.inner if s.dual else width, "conv_in")(z)
    if s.dual:
      y += causal_conv.spread(z, s.inner)
      straight = causal_conv.shuffle(causal_conv.spread(y, 8 * width), 2)
      y = self.conv(8 * width, "conv_unpatchify")(y)
      y = causal_conv.shuffle(y, 2) + straight
    y = self._middle(y)
    for level in reversed(range(last + 1)):
      y = self.blocks(y, "up", level=level, n=s.blocks + 1)
      if level:
        y = self._up(y, level)
    return self.normed_out(y)

  def _up(self, y, level):
    """Twice the side, and of some levels twice the frames."""
    if level in self.size.time_up:
      name = f"up{level}_twice"
      return Twice(norm=self.norm, rt=self.rt, name=name)(y)
    layer = self.flat_conv(y.shape[-1], f"up{level}_conv")
    return causal_conv.by_frame(lambda f: layer(conv.twice(f)), y)
