"""Widths, blocks, heads and strides of an MCMAE, as config section."""

import dataclasses

from jmim.core import field
from jmim.nn import sizes
from jmim.nn.nets import mcmae


@dataclasses.dataclass(frozen=True, kw_only=True)
class MCMAEDims:
  """A named size with overrides, each of all three stages."""

  variant: str = field.value("B/16", f"size ({' '.join(mcmae.SIZES)}) / 16")
  widths: tuple = field.value((), "widths of the stages; (): those of variant")
  depths: tuple = field.value((), "blocks per stage; (): those of variant")
  strides: tuple = field.value(
    (), "strides of the stages [pixels, places, places]; (): 4, 2, 2"
  )
  heads: int = field.value(
    0, "attention heads of the last stage; 0: those of variant", low=0
  )
  mlp_ratio: float = field.value(
    0.0, "MLP hidden / width; 0: that of variant", low=0
  )

  @property
  def size(self) -> mcmae.Size:
    """The variant's size with the overrides."""
    given = {k: v for k, v in vars(self).items() if k != "variant" and v}
    return dataclasses.replace(mcmae.parse(self.variant), **given)

  @property
  def patch(self) -> int:
    """Side of a token of the last stage [pixels]."""
    return self.size.patch

  def grid(self, side: int | tuple[int, int]) -> tuple[int, int]:
    """(h, w) in tokens of an image of that side, or (height, width)."""
    high, wide = (side, side) if isinstance(side, int) else side
    return (high // self.patch, wide // self.patch)

  def check(self, *sides: int) -> None:
    """Raises ValueError where it cannot be built on images of these sides."""
    for name in ("widths", "depths", "strides"):
      value = getattr(self, name)
      if value and len(value) != 3:
        raise ValueError(f"{name} {value}: one number per stage, 3")
    if (
      min((*self.widths, *self.strides, 1)) < 1
      or min(self.depths, default=0) < 0
    ):
      raise ValueError(f"widths, strides and depths are positive: {self}")
    for side in sides:
      sizes.check(self.size.transformer, side, self.patch)
