"""Heatmaps of joints: stored, or drawn on the device where joints may be.

stored   `heatmaps` [joints, side, side], of any values
drawn    of `modes` [joints, m, 3]: (x, y) in pixels and height; each is a
Gaussian of `sigma`, a few kB in the place of megabytes
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.nn import heatmaps


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heatmaps:
  """Where the heatmaps of an example come from."""

  joints: int = field.value(16, "joints that have a heatmap", low=1)
  size: int = field.value(64, "side of a heatmap [pixels]", low=2)
  modes: int = field.value(
    0,
    "Gaussians per joint that heatmaps are drawn of; 0: heatmaps are stored",
    low=0,
  )
  sigma: float = field.value(
    2.0, "deviation of a drawn Gaussian [pixels]", above=0.0
  )

  def inputs(self) -> dict[str, method.Input]:
    """heatmaps [joints, size, size], or modes [joints, m, 3]."""
    if self.modes:
      return {"modes": method.Input((self.joints, self.modes, 3))}
    shape = (self.joints, self.size, self.size)
    return {"heatmaps": method.Input(shape)}

  def of(self, batch: method.Batch) -> jax.Array:
    """[b, joints, size, size] float32."""
    if self.modes:
      return heatmaps.gaussians(batch["modes"], self.size, self.sigma)
    return batch["heatmaps"].astype(jnp.float32)
