"""What of a picture must stay: states that are put back, and a soft paste.

As in Blended Latent Diffusion (Avrahami et al. 2023): outside of a mask the
target's state is the source's after every step, and in the end its pixels are.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.diffusion import dragging

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kept:
  """How far around the thing, before and after, the picture may change."""

  blend: bool = field.value(
    True, "put the source's state back after each step, outside of the mask"
  )
  paste: bool = field.value(True, "put its pixels back in the end")
  grow: int = field.value(
    3, "cells (latent pixels) by which the mask is grown", low=0
  )
  feather: int = field.value(
    2, "half the width of the paste's edge in pixels, within the mask", low=0
  )

  def check(self, factor: int) -> None:
    """Raises ValueError for a paste that falls off within the thing.

    Args:
      factor: pixels of a cell's side.
    """
    most = self.grow * factor // 2
    if self.paste and self.feather > most:
      raise ValueError(
        f"kept.feather={self.feather} pixels, and the mask is grown by "
        f"kept.grow={self.grow} cells of {factor}: at most {most}, so that the "
        "edge is not within the thing"
      )

  def mask(self, old: Array, new: Array) -> Array:
    """bool [b, h, w], what may change, of where the thing was and will be."""
    return dragging.grown(old | new, self.grow)

  def blended(self, mask: Array, target: Array, source: Array) -> Array:
    """States [b, h, w, c] with the source's outside of the mask."""
    return jnp.where(mask[..., None], target, source) if self.blend else target

  def finer(self, mask: Array, side: int) -> Array:
    """bool [b, side, side]: the mask [b, h, w] in pixels."""
    factor = side // mask.shape[1]
    return mask.repeat(factor, 1).repeat(factor, 2)

  def pasted(self, mask: Array, target: Array, source: Array) -> Array:
    """Images [b, H, W, c] with the source's outside of a mask [b, H, W]."""
    if not self.paste:
      return target
    weight = dragging.feathered(mask, self.feather)[..., None]
    made = weight * target + (1 - weight) * source
    return jnp.where(weight == 0, source, made)
