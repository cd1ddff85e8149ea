"""Diffusion methods on a UNet: the fields that size it."""

import dataclasses

from jmim.core import field
from jmim.methods.diffusion import _gaussian
from jmim.nn.nets import unet


@dataclasses.dataclass(frozen=True, kw_only=True)
class Convolutional(_gaussian.Gaussian):
  """Widths, levels, attention."""

  width: int = field.value(128, "channels of the finest level", low=1)
  multipliers: tuple = field.value((1, 2, 2, 4), "of each level, finest first")
  blocks: int = field.value(2, "residual blocks per level", low=1)
  attend_at: tuple = field.value((4, 8), "downsampling factors with attention")
  heads: int = field.value(4, "attention heads; 0: by head_width", low=0)
  head_width: int = field.value(32, "channels of a head", low=1)
  norm_groups: int = field.value(32, "groups of the norms", low=1)
  dropout: float = field.value(
    0.1, "rate in the residual blocks", low=0.0, below=1.0
  )

  def inputs(self):
    """Those of `Gaussian`.

    Raises:
      ValueError: widths or sides that do not divide.
    """
    unet.check(
      self.size,
      self.width,
      multipliers=self.multipliers,
      heads=self.heads or self.head_width,
      groups=self.norm_groups,
    )
    return super().inputs()
