"""A UNet that reads an image beside the state, brought to the state's side.

Yue et al. 2023 (zsyOAOA/ResShift@3ce1d81, `UNetModelSwin`): a larger image is
halved by convolutions, one of the side of the state is concatenated as it is.
Maps NHWC.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import resize
from jmim.nn import unet as layers
from jmim.nn.nets import unet

WIDTH = 16  # of the first convolution of an image that is halved


class Halved(nn.Module):
  """Per halving a convolution, SiLU and a convolution with stride 2.

  Attributes:
    times: halvings; each doubles the channels, from 16.
    rt: execution choices.
  """

  times: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> [b, h / 2^times, w / 2^times, 16 2^times]."""
    x = x.astype(self.rt.dtype)
    for i in range(self.times):
      width = WIDTH * 2**i
      x = nn.silu(conv.conv3(self.rt, width, f"conv{i}")(x))
      x = self.rt.shard(conv.conv3(self.rt, 2 * width, f"half{i}", 2)(x))
    return x


class ShownUNet(nn.Module):
  """The UNet, and what brings an image to the side of its state.

  Attributes:
    net: the UNet, which may end at its middle (`upward`).
  """

  net: unet.UNet

  def __call__(self, x: jax.Array, t: jax.Array, shown: jax.Array) -> jax.Array:
    """Predicts [b, h, w, out] for the state [b, h, w, c].

    Args:
      x: state, scaled.
      t: [b] times.
      shown: [b, h', w', c'] image; h' is h times or over a power of 2. Of a
        smaller one each pixel is repeated.
    """
    return self.tapped(x, t, shown)[0]

  @nn.compact
  def tapped(
    self, x: jax.Array, t: jax.Array, shown: jax.Array
  ) -> tuple[jax.Array, layers.Taps]:
    """The prediction and what is inside; arguments are those of a call."""
    sides = x.shape[1:3]
    if shown.shape[1] > sides[0]:
      times = (shown.shape[1] // sides[0]).bit_length() - 1
      shown = Halved(times, self.net.rt, name="halved")(shown)
    else:
      shown = resize.images(shown, sides, "nearest")
    y = jnp.concatenate([x.astype(shown.dtype), shown], axis=-1)
    return self.net.tapped(y, t)
