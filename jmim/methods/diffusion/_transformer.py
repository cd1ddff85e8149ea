"""Diffusion methods on a transformer: the fields that size it."""

import dataclasses

from jmim.core import field
from jmim.core import method
from jmim.methods.diffusion import _gaussian
from jmim.nn import sizes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sized(method.Method):
  """Width, depth, heads and patches of a network on `size` pixels."""

  variant: str = field.value("B/4", "size (Ti S B L H XL) / patch in pixels")
  width: int = field.value(0, "width; 0: that of variant", low=0)
  depth: int = field.value(0, "blocks; 0: those of variant", low=0)
  heads: int = field.value(0, "attention heads; 0: those of variant", low=0)
  mlp_ratio: float = field.value(
    0.0, "MLP hidden / width; 0: that of variant", low=0
  )

  @property
  def net_size(self) -> sizes.Size:
    """The variant's size with the overrides."""
    return sizes.override(
      sizes.parse(self.variant)[0],
      width=self.width,
      depth=self.depth,
      heads=self.heads,
      mlp_ratio=self.mlp_ratio,
    )

  @property
  def patch(self) -> int:
    """Patch side in pixels."""
    return sizes.parse(self.variant)[1]

  @property
  def grid(self) -> tuple[int, int]:
    """(h, w) in patches."""
    return (self.size // self.patch,) * 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transformer(Sized, _gaussian.Gaussian):
  """A transformer in discrete times."""
