"""Swin layers in a UNet, where it has attention (ResShift)."""

import dataclasses
import functools
import math
from collections.abc import Callable

import flax.linen as nn

from jmim.core import field
from jmim.nn.nets import swin_map
from jmim.nn.nets import unet
from jmim.nn.nets import windows


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwinMixer:
  """Width, depth and windows of the Swin layers, and their norms."""

  width: int = field.value(192, "channels inside", low=1)
  depth: int = field.value(2, "layers at each place", low=1)
  window: int = field.value(8, "window side in places of the map", low=1)
  mlp_ratio: float = field.value(4.0, "MLP hidden / width", above=0.0)
  head_width: int = field.value(
    32, "channels of a head; 0: width over dims.heads", low=0
  )
  norm_in: bool = field.value(False, "a norm behind the first convolution")
  mask: str = field.value(
    "last_rows",
    "mask of shifted windows: as released weights were trained with, which "
    "leaves most borders open, or Swin's",
    choices=tuple(windows.MASKS),
  )
  trained: int = field.value(
    0,
    "side of the state in training, where weights are asked for another: it "
    "says which windows are shifted; 0: size",
    low=0,
  )

  def plug(self, size: int) -> Callable[..., nn.Module]:
    """`unet.Layers.mixer`; size: side of the state."""
    return functools.partial(
      swin_map.SpatialSwin,
      width=self.width,
      depth=self.depth,
      window=self.window,
      trained=self.trained or size,
      head_width=self.head_width,
      mlp_ratio=self.mlp_ratio,
      norm_in=self.norm_in,
      mask=self.mask,
    )

  def windows(self, dims: unet.Dims, size: int) -> dict[int, int]:
    """Of each level with such layers: factor of its side -> side of a window.

    Args:
      dims: of the UNet.
      size: side of the state.
    """
    levels = [2**i for i in range(len(dims.multipliers))]
    # In the middle there always are such layers.
    factors = [f for f in levels if f in dims.attend_at or f == levels[-1]]
    trained = self.trained or size
    return {f: max(min(trained // f, self.window), 1) for f in factors}

  def unit(self, dims: unet.Dims, size: int) -> int:
    """What the side of any state must divide by; arguments as of `windows`."""
    return math.lcm(*(f * w for f, w in self.windows(dims, size).items()))

  def check(self, dims: unet.Dims, size: int) -> None:
    """Raises ValueError unless such a UNet can be built.

    Args:
      dims: of the UNet.
      size: side of the state.
    """
    for factor, window in self.windows(dims, size).items():
      if (side := size // factor) % window:
        raise ValueError(
          f"swin.window={self.window}: maps of side {side} are not filled by "
          f"windows of side {window}"
        )
    counts = dims.level_heads or (dims.heads,)
    for n in (self.head_width,) if self.head_width else counts:
      if not n or self.width % n:
        raise ValueError(
          f"swin.width={self.width} does not divide by {n} (swin.head_width, "
          "or with 0 dims.heads)"
        )
    if self.width % dims.norm_groups:
      raise ValueError(
        f"swin.width={self.width} does not divide by "
        f"dims.norm_groups={dims.norm_groups}"
      )
