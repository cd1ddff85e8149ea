"""A small U-Net from one map of light to another (Zheng et al. 2023, CUE).

The encoder ends in a context of the whole map, enlarged to half the side: what
an enhancer reads. The decoder makes a map again.

    encoder  conv3, pair n, down, pair 2 n, down, pair 4 n
             f = up(pair([G(mean), .]))                        4 n at h / 2
    decoder  merge([skip 2 n, f]), pair 2 n, up,
             merge([skip n, .]), pair n, conv3 -> 1

merge: 1 x 1, then x + gate(v) v per channel with v the mean of two
convolutions of x, then 3 x 3. Maps NHWC.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import coupling
from jmim.nn import resize

TORCH = {"kernel_init": conv.TORCH}


class Encoder(nn.Module, kw_only=True):
  """A map of light to features of its light.

  Attributes:
    width: n, channels at full resolution.
    rt: execution choices.
  """

  width: int = 6
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, light: jax.Array
  ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Features and what the decoder reads beside them.

    Args:
      light: [b, h, w, 1]; sides at least 4.

    Returns:
      f [b, h/2, w/2, 4 n], and skips [b, h, w, n], [b, h/2, w/2, 2 n].
    """
    n, rt = self.width, self.rt
    pair = lambda width, name: coupling.ConvPair(width=width, rt=rt, name=name)
    x = conv.conv3(rt, n, "conv_in", **TORCH)(light)
    fine = pair(n, "pair0")(x)
    middle = pair(2 * n, "pair1")(conv.down2(rt, 2 * n, "down0")(fine))
    x = pair(4 * n, "pair2")(conv.down2(rt, 4 * n, "down1")(middle))
    g = conv.conv1(rt, 4 * n, "global0")(x.mean((1, 2), keepdims=True))
    g = conv.conv1(rt, 4 * n, "global1")(coupling.leaky(g, 0.2))
    x = jnp.concatenate([jnp.broadcast_to(g, x.shape), x], axis=-1)
    x = pair(4 * n, "context")(x)
    return resize.images(x, middle.shape[1:3], "bilinear"), (fine, middle)


class Merge(nn.Module, kw_only=True):
  """[skipped, below] to fewer channels, with attention to channels.

  Attributes:
    inner: channels of the attention.
    reduction: by which the gate's hidden layer is narrower.
    out: output channels.
    rt: execution choices.
  """

  inner: int
  reduction: int
  out: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, skip: jax.Array, below: jax.Array) -> jax.Array:
    """[b, h, w, c], [b, h', w', d] -> [b, h, w, out]."""
    rt, inner = self.rt, self.inner
    below = resize.images(below, skip.shape[1:3], "bilinear")
    x = jnp.concatenate([skip, below], axis=-1)
    x = conv.conv1(rt, inner, "join")(x)
    v = nn.relu(conv.conv3(rt, inner, "process0", **TORCH)(x))
    v = conv.conv3(rt, inner, "process1", **TORCH)(v)
    v = v.mean((1, 2), keepdims=True)
    gate = nn.relu(conv.conv1(rt, inner // self.reduction, "gate0")(v))
    gate = nn.sigmoid(conv.conv1(rt, inner, "gate1")(gate))
    return conv.conv3(rt, self.out, "conv", **TORCH)(x + gate * v)


class Decoder(nn.Module, kw_only=True):
  """Features of light to a map of it.

  Attributes:
    width: n, channels at full resolution, even.
    rt: execution choices.
  """

  width: int = 6
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, features: jax.Array, skips: tuple[jax.Array, jax.Array]
  ) -> jax.Array:
    """What `Encoder` returns -> [b, h, w, 1] float32."""
    n, rt, (fine, middle) = self.width, self.rt, skips
    merge = lambda inner, reduction, out, name: Merge(
      inner=inner, reduction=reduction, out=out, rt=rt, name=name
    )
    pair = lambda width, name: coupling.ConvPair(width=width, rt=rt, name=name)
    y = merge(4 * n, 4, 2 * n, "merge0")(middle, features)
    y = pair(2 * n, "pair0")(y)
    y = merge(n, 2, n, "merge1")(fine, y)
    y = pair(n, "pair1")(y)
    return conv.conv3(rt, 1, "conv_out", **TORCH)(y).astype(jnp.float32)
