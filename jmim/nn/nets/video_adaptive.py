"""Encoder and decoder of LaVin-DiT's ST-VAE, of CogVideoX's family.

Wang et al. 2025 (DerrickWang005/LaVin-DiT@f372858, read and written anew; no
numbers of theirs were at hand). The first frame stands for what is before it:
convolutions repeat it, time is halved and doubled behind it. Norms of the
decoder are adaptive in space:

    GN(f) y(z) + b(z)       y, b: linear maps of the latents, enlarged to f

GroupNorm with eps 1e-6 over a WHOLE clip, as theirs: convolutions are causal,
the statistics are not. A clip of one frame, an image, is coded alone.

The decoder ends before its last convolution, see `nn.nets.video_codec`.
"""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import runtime
from jmim.nn import causal_conv
from jmim.nn import conv
from jmim.nn import resize
from jmim.nn.nets import video_blocks

EPS = 1e-6


def enlarged(z: jax.Array, shape: tuple[int, int, int]) -> jax.Array:
  """[b, t, h, w, c] -> [b, *shape, c], nearest; of odd clips behind frame 0.

  Args:
    z: latents.
    shape: (frames, rows, columns) wanted.
  """
  if shape[0] > 1 and shape[0] % 2:
    first = enlarged(z[:, :1], (1, *shape[1:]))
    rest = enlarged(z[:, 1:], (shape[0] - 1, *shape[1:]))
    return jnp.concatenate([first, rest], axis=1)
  at = np.arange(shape[0]) * z.shape[1] // shape[0]
  grow = lambda f: resize.images(f, shape[1:], "nearest")
  return causal_conv.by_frame(grow, z[:, at])


def half_time(x: jax.Array) -> jax.Array:
  """[b, t, ...] -> [b, ceil(t / 2), ...]: means of pairs; of odd, frame 0."""
  odd = x.shape[1] % 2
  pairs = x[:, odd:].reshape(len(x), -1, 2, *x.shape[2:]).mean(2)
  return jnp.concatenate([x[:, :odd], pairs], axis=1)


def twice_time(x: jax.Array) -> jax.Array:
  """[b, t, ...] -> [b, 2 t - 1, ...]: each but the first frame twice."""
  return jnp.concatenate([x[:, :1], jnp.repeat(x[:, 1:], 2, axis=1)], axis=1)


class Norm(nn.Module, kw_only=True):
  """GroupNorm of clips, with latents an adaptive one.

  Attributes:
    groups: of channels.
    rt: execution choices.
  """

  groups: int = 32
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, z: jax.Array | None = None) -> jax.Array:
    """[b, t, h, w, c] -> the same; z [b, t', h', w', code] or None."""
    y = conv.group_norm(self.rt, self.groups, "norm", EPS)(x)
    if z is None:
      return y
    near, width = enlarged(z, x.shape[1:4]), x.shape[-1]
    scale = conv.conv1(self.rt, width, "scale")(near)
    return y * scale + conv.conv1(self.rt, width, "shift")(near)


class _Levels(video_blocks.Levels):
  """Those of this layout; the first frame stands for what is before it."""

  front = "first"

  @property
  def norm(self) -> Callable[..., Callable[..., jax.Array]]:
    """See `video_blocks.Levels`."""
    return functools.partial(Norm, groups=self.size.groups, rt=self.rt)

  def _middle(self, y, z=None):
    for i in (0, 1):
      y = self.block(y.shape[-1], f"middle_{i}")(y, z)
    return y


class Encoder(_Levels):
  """Clips to mean and log variance of the latents."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, T, H, W, c] -> [b, t, h, w, 2 code] float32."""
    s, last = self.size, len(self.size.multipliers) - 1
    y = self.conv(s.width, "conv_in")(x.astype(self.rt.dtype))
    for level in range(last + 1):
      y = self.blocks(y, "down", level=level, n=s.blocks)
      if level < last:
        y = half_time(y) if level in s.time_down else y
        layer = self.flat_conv(
          y.shape[-1], f"down{level}_conv", stride=2, pad=(0, 1)
        )
        y = causal_conv.by_frame(layer, y)
    y = self.normed_out(self._middle(y))
    return self.conv(2 * s.code, "conv_out")(y).astype(jnp.float32)


class Decoder(_Levels):
  """Latents to the features that the last convolution reads."""

  @nn.compact
  def __call__(self, z: jax.Array) -> jax.Array:
    """[b, t, h, w, code] -> [b, T, H, W, width * multipliers[0]]."""
    s, last = self.size, len(self.size.multipliers) - 1
    z = z.astype(self.rt.dtype)
    y = self.conv(s.multipliers[last] * s.width, "conv_in")(z)
    y = self._middle(y, z)
    for level in reversed(range(last + 1)):
      y = self.blocks(y, "up", z, level=level, n=s.blocks + 1)
      if level:
        y = twice_time(y) if level in s.time_up else y
        layer = self.flat_conv(y.shape[-1], f"up{level}_conv")
        grow = lambda f, layer=layer: layer(conv.twice(f))
        y = causal_conv.by_frame(grow, y)
    return self.normed_out(y, z)
