"""Guidance that is strong at noise and falls to none.

scale = max(c - k t (c - 1), 1)          t: the network's time, 0 at noise
"""

import dataclasses

import jax

from jmim.core import field
from jmim.diffusion import guidance as guiding
from jmim.methods.parts import guided


@dataclasses.dataclass(frozen=True, kw_only=True)
class Falling(guided.Guided):
  """Guided, of which c is the `guidance` that it begins with."""

  guidance_fall: float = field.value(
    9.0, "k: nothing is guided from time 1 / k on; 0: constant", low=0.0
  )

  def check(self, drop: float | None = None, key: str = "labels.drop") -> None:
    """Raises ValueError for fields that do not go together."""
    super().check(drop, key)
    if self.guidance_fall and self.guidance_power:
      raise ValueError(
        f"sampling.guidance_fall={self.guidance_fall} with "
        f"sampling.guidance_power={self.guidance_power}: one of them"
      )

  def combine(
    self, cond: jax.Array, null: jax.Array, time: jax.Array, channels: int
  ) -> jax.Array:
    """As of `Guided`, by the scale of this time."""
    scale = self.guidance
    if self.guidance_fall:
      scale = guiding.falling(scale, time, self.guidance_fall)
    now = dataclasses.replace(self, guidance=scale)
    return super(Falling, now).combine(cond, null, time, channels)
