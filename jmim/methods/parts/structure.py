"""Noise whose mean in a region of the image is a number of that region.

    w_t  = sqrt(1 - a_t^2) beta_t                or 1
    eps' = eps + w_t E                           E: `nn/structure.py`

Where images have no map, E = 0, and it is the noise that was drawn.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.diffusion import schedule as schedules
from jmim.diffusion import targets
from jmim.nn import structure


@dataclasses.dataclass(frozen=True, kw_only=True)
class Structure:
  """Where maps come from, and how they are weighted."""

  read: str = field.value(
    "ids",
    "maps are made of region ids (`instance`), 'stored' beside the images "
    "(`structure`), or there are 'none'",
    choices=("ids", "stored", "none"),
  )
  regions: int = field.value(32, "greatest region id", low=1)
  weighted: bool = field.value(
    True, "weigh maps by sqrt(1 - abar_t) beta_t; else by 1"
  )

  def inputs(self, size: int) -> dict[str, method.Input]:
    """What it reads beside images of a side."""
    ids = method.Input((size, size), jnp.int32, high=self.regions + 1)
    stored = method.Input((size, size), jnp.float32)
    known = {"ids": {"instance": ids}, "stored": {"structure": stored}}
    return known.get(self.read, {})

  def maps(self, batch: method.Batch) -> jax.Array | None:
    """E [b, h, w, 1] of a training batch; None: there are none."""
    if self.read == "none":
      return None
    if self.read == "stored":
      return batch["structure"][..., None]
    return structure.of_ids(batch["instance"], self.regions)[..., None]

  def weight(self, process: schedules.Schedule, t: jax.Array) -> jax.Array:
    """w_t float32 of integer times, in the shape of t."""
    if not self.weighted:
      return jnp.ones(t.shape)
    return schedules.pick(process.noise * process.beta, t)

  def modulated(
    self,
    noise: jax.Array,
    maps: jax.Array | None,
    t: jax.Array,
    process: schedules.Schedule,
  ) -> jax.Array:
    """eps' [b, h, w, c].

    Args:
      noise: eps [b, h, w, c].
      maps: E [b, h, w, 1]; None: there are none.
      t: [b] times.
      process: the noise schedule.
    """
    if maps is None:
      return noise
    return noise + targets.expand(self.weight(process, t), noise.ndim) * maps

  def told(
    self,
    batch: method.Batch,
    draws: method.Draws,
    process: schedules.Schedule,
  ) -> jax.Array:
    """eps' [b, h, w, c] of a training batch: `modulated` by its maps."""
    maps = self.maps(batch)
    return self.modulated(draws["noise"], maps, draws["t"], process)
