"""SwinIR: groups of Swin layers between convolutions, for restoration.

Liang et al. 2021, with the upsampler for real photographs; in front the
unshuffling of Yue and Loy 2024 (DifFace), so that all but the last layers run
on a small map. Images NHWC in 0 .. 1.
"""

import dataclasses
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import norm
from jmim.nn import resize
from jmim.nn.nets import swin
from jmim.nn.nets import swin_map

MEAN = (0.4488, 0.4371, 0.4040)  # of DIV2K's colours, as the authors have it
STEEP, FLAT = 0.2, 0.01  # leaky ReLUs: between upsamplings, and before them


class Group(nn.Module, kw_only=True):
  """Swin layers, a convolution, and the input added (RSTB).

  Attributes:
    depth: Swin layers.
    heads: attention heads.
    window: side of a window.
    mlp_ratio: hidden width of the MLPs over the width.
    rt: execution choices.
  """

  depth: int
  heads: int
  window: int
  mlp_ratio: float
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> the same."""
    y = swin_map.Layers(
      depth=self.depth,
      heads=self.heads,
      window=self.window,
      mlp_ratio=self.mlp_ratio,
      rt=self.rt,
      name="swin",
    )(x)
    return self.rt.shard(x + conv.conv3(self.rt, x.shape[-1], "conv")(y))


class SwinIR(nn.Module, kw_only=True):
  """A spoilt image to a restored one.

  Attributes:
    depths: Swin layers of each group.
    heads: attention heads of each group.
    width: of the groups.
    window: side of a window.
    mlp_ratio: hidden width of the MLPs over the width.
    unshuffle: side of the squares of pixels that are one place of the map.
    tail: width of the layers behind the groups.
    times: side of the output over that of the input.
    out: channels of the output.
    rt: execution choices.
  """

  depths: Sequence[int]
  heads: Sequence[int]
  width: int
  window: int
  mlp_ratio: float
  unshuffle: int
  tail: int
  times: int = 1
  out: int = 3
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> [b, times h, times w, out] float32, not clipped.

    Sides that squares and windows do not fill are mirrored, and cut again.
    """
    (h, w), rt = x.shape[1:3], self.rt
    # Of other inputs than an RGB image the authors subtract nothing.
    mean = jnp.asarray(MEAN) if x.shape[-1] == self.out == 3 else 0.0
    x = resize.reflected(x - mean, self.unshuffle * self.window)
    first = resize.unshuffle(x, self.unshuffle).astype(rt.dtype)
    first = rt.shard(conv.conv3(rt, self.width, "conv_first")(first))
    y = norm.layer_norm(rt, "norm_in", swin.EPS)(first)
    for i, (depth, heads) in enumerate(
      zip(self.depths, self.heads, strict=True)
    ):
      y = Group(
        depth=depth,
        heads=heads,
        window=self.window,
        mlp_ratio=self.mlp_ratio,
        rt=rt,
        name=f"group{i}",
      )(y)
    y = norm.layer_norm(rt, "norm", swin.EPS)(y)
    y = first + conv.conv3(rt, self.width, "conv_body")(y)
    y = self._upsampled(y).astype(jnp.float32) + mean
    return y[:, : self.times * h, : self.times * w]

  def _upsampled(self, y):
    """Repeated pixels and a convolution, as often as needed; two more."""
    rt, width = self.rt, self.tail
    leaky = lambda x: nn.leaky_relu(x, STEEP)
    y = nn.leaky_relu(conv.conv3(rt, width, "conv_tail")(y), FLAT)
    for i in range(doublings(self.unshuffle * self.times)):
      y = rt.shard(leaky(conv.conv3(rt, width, f"conv_up{i}")(conv.twice(y))))
    y = leaky(conv.conv3(rt, width, "conv_fine")(y))
    return conv.conv3(rt, self.out, "conv_out")(y)


def doublings(times: int) -> int:
  """How often 1 is doubled to be `times`, a power of 2."""
  return times.bit_length() - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Sizes of a SwinIR; those of DifFace if nothing else is said."""

  depths: tuple = field.value((6,) * 8, "Swin layers of each group")
  heads: int = field.value(6, "attention heads", low=1)
  width: int = field.value(180, "width of the groups", low=1)
  window: int = field.value(8, "side of a window, even", low=2)
  mlp_ratio: float = field.value(2.0, "MLP hidden / width", above=0)
  unshuffle: int = field.value(
    8, "side of the squares of pixels that are one place of the map", low=1
  )
  tail: int = field.value(64, "width of the layers behind the groups", low=1)

  def net(
    self, out: int, times: int = 1, rt: runtime.Runtime | None = None
  ) -> SwinIR:
    """The network.

    Args:
      out: channels of its output.
      times: side of the output over that of the input.
      rt: execution choices.
    """
    return SwinIR(
      depths=self.depths,
      heads=(self.heads,) * len(self.depths),
      width=self.width,
      window=self.window,
      mlp_ratio=self.mlp_ratio,
      unshuffle=self.unshuffle,
      tail=self.tail,
      times=times,
      out=out,
      rt=rt or runtime.Runtime(),
    )

  def check(self, side: int, times: int = 1) -> None:
    """Raises ValueError unless a SwinIR on images of that side can be built.

    Args:
      side: of its input [pixels].
      times: side of the output over that.
    """
    if self.width % self.heads:
      raise ValueError(f"net.width={self.width} over net.heads={self.heads}")
    whole = self.unshuffle * times
    if whole & (whole - 1):
      raise ValueError(
        f"net.unshuffle={self.unshuffle} times degraded.factor={times} is not "
        "a power of 2: a SwinIR doubles sides"
      )
    least = self.unshuffle * self.window
    if -side % least >= side:
      raise ValueError(
        f"images of side {side} are too small to be mirrored to {least} "
        "pixels, net.unshuffle times net.window"
      )
