"""Encoder and decoder of Step-Video's Video-VAE.

Ma et al. 2025 (stepfun-ai/Step-Video-T2V@675e08c), equal to the authors' code
(`tests/golden`). Causal convolutions with zeros in front, GroupNorm of each
frame (eps 1e-5), attention of one head over all places of a chunk, in which a
place sees those before it in (time, row, column). With dual paths the latents
are cubes of 2 x 2 x 2: a convolution makes their channels, and beside it means
of groups of channels, or copies, go straight through.

The decoder ends before its last convolution, see `nn.nets.video_codec`.
"""

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
from jmim.nn import stack
from jmim.nn.nets import video_sizes


class Block(nn.Module, kw_only=True):
  """GN SiLU conv GN SiLU conv, plus the input.

  Attributes:
    width: output channels; another than the input's: a linear map beside.
    groups: of the norms.
    rt: execution choices.
  """

  width: int
  groups: int = 32
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, t, h, w, c] -> [b, t, h, w, width]."""
    y = x
    for i in (1, 2):
      y = causal_conv.frame_norm(self.rt, self.groups, f"norm{i}")(y)
      layer = causal_conv.CausalConv(
        width=self.width, rt=self.rt, name=f"conv{i}"
      )
      y = layer(nn.silu(y))
    if x.shape[-1] != self.width:
      x = conv.conv1(self.rt, self.width, "skip")(x)
    return self.rt.shard(x + y)


class Attention(nn.Module, kw_only=True):
  """x + attention of one head; a place sees itself and those before it.

  The queries of a frame are computed apart: no frame reads the keys of later
  ones, which halves the work, and the mask is of one frame alone.

  Attributes:
    groups: of the norm.
    rt: execution choices.
  """

  groups: int = 32
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, t, h, w, c] -> the same."""
    t, n, width = x.shape[1], x.shape[2] * x.shape[3], x.shape[-1]
    y = causal_conv.frame_norm(self.rt, self.groups, "norm")(x)
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
    groups: of the norms.
    rt: execution choices.
  """

  groups: int = 32
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, t, h, w, c] -> [b, 2t, 2h, 2w, c]; the first frame is twice, too."""
    x = causal_conv.by_frame(conv.twice, jnp.repeat(x, 2, axis=1))
    y, width = x, x.shape[-1]
    for i in (1, 2):
      layer = causal_conv.CausalConv(width=width, rt=self.rt, name=f"conv{i}")
      y = causal_conv.frame_norm(self.rt, self.groups, f"norm{i}")(layer(y))
      y = nn.silu(y) if i == 1 else y
    return self.rt.shard(nn.silu(y + x) + x)


class _Levels(nn.Module, kw_only=True):
  """What encoder and decoder share: blocks by name."""

  size: video_sizes.Size
  rt: runtime.Runtime = runtime.Runtime()

  def _blocks(self, y, level: int, n: int, stem: str):
    """Residual blocks of a level."""
    width = self.size.multipliers[level] * self.size.width
    for i in range(n):
      y = self._block(width, f"{stem}{level}_{i}")(y)
    return y

  def _middle(self, y):
    width, groups = y.shape[-1], self.size.groups
    y = self._block(width, "middle_0")(y)
    y = Attention(groups=groups, rt=self.rt, name="middle_attention")(y)
    return self._block(width, "middle_1")(y)

  def _block(self, width, name):
    cls, rt = Block, self.rt
    if rt.remat != "none":
      cls = nn.remat(Block, policy=stack.policy(rt))
    return cls(width=width, groups=self.size.groups, rt=rt, name=name)

  def _conv(self, width, name, **more):
    return causal_conv.CausalConv(width=width, rt=self.rt, name=name, **more)

  def _norm(self, y):
    norm = causal_conv.frame_norm(self.rt, self.size.groups, "norm_out")
    return nn.silu(norm(y))


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
    y = self._conv(s.width, "conv_in")(x.astype(self.rt.dtype))
    for level in range(last + 1):
      y = self._blocks(y, level, s.blocks, "down")
      if level < last:
        y = self._down(y, level)
    y = self._norm(self._middle(y))
    width = self.out * s.code
    if not s.dual:
      return self._conv(width, "conv_out")(y).astype(jnp.float32)
    straight = causal_conv.grouped(causal_conv.unshuffle(y, 2), s.inner)
    y = self._conv(s.inner // 8, "conv_patchify")(y)
    y = causal_conv.unshuffle(y, 2) + straight
    made = self._conv(width, "conv_out")(y) + causal_conv.grouped(y, width)
    return made.astype(jnp.float32)

  def _down(self, y, level):
    """Half the side, and of some levels half the frames."""
    name, width = f"down{level}_conv", y.shape[-1]
    if level in self.size.time_down:
      return self._conv(width, name, stride=(2, 2, 2))(y)
    init = {"kernel_init": conv.TORCH}
    layer = conv.conv3(self.rt, width, name, stride=2, pad=(0, 1), **init)
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
    y = self._conv(s.inner if s.dual else width, "conv_in")(z)
    if s.dual:
      y += causal_conv.spread(z, s.inner)
      straight = causal_conv.shuffle(causal_conv.spread(y, 8 * width), 2)
      y = self._conv(8 * width, "conv_unpatchify")(y)
      y = causal_conv.shuffle(y, 2) + straight
    y = self._middle(y)
    for level in reversed(range(last + 1)):
      y = self._blocks(y, level, s.blocks + 1, "up")
      if level:
        y = self._up(y, level)
    return self._norm(y)

  def _up(self, y, level):
    """Twice the side, and of some levels twice the frames."""
    if level in self.size.time_up:
      name = f"up{level}_twice"
      return Twice(groups=self.size.groups, rt=self.rt, name=name)(y)
    layer = conv.conv3(
      self.rt, y.shape[-1], f"up{level}_conv", kernel_init=conv.TORCH
    )
    return causal_conv.by_frame(lambda f: layer(conv.twice(f)), y)
