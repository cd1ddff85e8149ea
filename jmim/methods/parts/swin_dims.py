"""Width, depths, heads and windows of a Swin transformer, as config section."""

import dataclasses

from jmim.core import field
from jmim.nn.nets import swin


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwinDims:
  """A named size on patches of a side, with overrides."""

  variant: str = field.value(
    "SwinT/4", f"size ({' '.join(swin.SIZES)}) / patch side in pixels"
  )
  width: int = field.value(
    0, "width of the first stage; 0: that of variant", low=0
  )
  depths: tuple = field.value((), "blocks per stage; (): those of variant")
  heads: tuple = field.value(
    (), "attention heads per stage; (): those of variant"
  )
  mlp_ratio: float = field.value(
    0.0, "MLP hidden / width; 0: that of variant", low=0
  )
  window: int = field.value(
    0, "window side in tokens; 0: that of variant", low=0
  )

  @property
  def size(self) -> swin.Size:
    """The variant's size with the overrides."""
    return swin.custom(
      self.variant,
      width=self.width,
      depths=self.depths,
      heads=self.heads,
      mlp_ratio=self.mlp_ratio,
      window=self.window,
    )

  @property
  def patch(self) -> int:
    """Patch side in pixels."""
    return swin.parse(self.variant)[1]

  def grid(self, side: int) -> tuple[int, int]:
    """(h, w) in patches of an image of that side."""
    return (side // self.patch,) * 2

  def check(self, side: int) -> None:
    """Raises ValueError where a Swin on images of that side cannot be built."""
    swin.check(self.size, side, self.patch)
