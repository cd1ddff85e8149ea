"""A field of planes and lines that a transformer writes, and its sizes.

Jang and Agapito 2024 (NViST); Chen et al. 2022 (TensoRF).
"""

import dataclasses

from jmim.core import field
from jmim.core import runtime
from jmim.nn import sizes
from jmim.nn.nets import nvist


@dataclasses.dataclass(frozen=True, kw_only=True)
class Planes:
  """What a decoder writes, and how it is told an image and a camera."""

  resolution: int = field.value(48, "cells along each side of a plane", low=1)
  patch: int = field.value(3, "side of a token's patch [cells]", low=1)
  density: int = field.value(8, "channels of the density", low=1)
  colours: int = field.value(24, "channels of the colours", low=1)
  frequencies: int = field.value(4, "waves of the camera's numbers", low=0)
  told: bool = field.value(
    True, "even blocks attend to the image; False: its class token is all"
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def channels(self) -> int:
    """Of planes and lines, those of the density first."""
    return self.density + self.colours

  def check(self, size: sizes.Size) -> None:
    """Raises ValueError where a decoder of this size cannot write them."""
    if self.resolution % self.patch:
      raise ValueError(
        f"planes.resolution={self.resolution} does not divide by "
        f"planes.patch={self.patch}"
      )
    sizes.check(size, side=1, patch=1, prefix="decoder_")

  def net(self, size: sizes.Size) -> nvist.Decoder:
    """The decoder."""
    return nvist.Decoder(
      size=size,
      resolution=self.resolution,
      patch=self.patch,
      channels=self.channels,
      frequencies=self.frequencies,
      told=self.told,
      rt=self.rt,
    )
