r"""Attention to tokens that is to keep to regions (DiffFAE).

A_k is the cross-attention to token k of a UNet, mean over heads and layers of
one side; it sums to 1 over the tokens. S_k is a region of the picture that is
denoised, at that side the share of the pixels that are its.

    masks        mean_{k, p} (A_k - S_k)^2                 of the named regions
    statistics   mean_k (mean_p A_k - mean_p M_k)^2 + mean |A_k(t) - sg A_k(t')|

Without masks a token should cover as much of the result as of the source, and
no more at one time than at another (t' is drawn, too). M_k is the map of query
k over the source, normalised over the queries as A is over the tokens:
normalised over the places its mean would be 1 / places, whatever it sees.

Wang et al. 2024 regularise the attention so; the form is our choice.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionRegions:
  """Weight, side and masks."""

  weight: float = field.value(0.01, "lambda; 0: nothing is asked", low=0.0)
  kind: str = field.value(
    "masks", "truth for maps of attention", choices=("masks", "statistics")
  )
  side: int = field.value(
    16, "side of the maps: of a level of the UNet with attention", low=1
  )
  read: str = field.value(
    "segmentation", "entry of the regions, numbers of a pixel"
  )
  regions: int = field.value(
    8, "named regions: those of the first so many tokens", low=1
  )

  def masked(self, tokens: int) -> bool:
    """Whether masks are read, with so many tokens."""
    return bool(tokens and self.weight) and self.kind == "masks"

  def twice(self, tokens: int) -> bool:
    """Whether a second time is, with so many tokens."""
    return bool(tokens and self.weight) and self.kind == "statistics"

  def check(self, tokens: int, sides: tuple[int, ...]) -> None:
    """Raises ValueError for a side without attention, or too few tokens.

    Args:
      tokens: K.
      sides: of the maps that there are.
    """
    if tokens and self.side not in sides:
      raise ValueError(
        f"told.attention.side={self.side}: the UNet attends at sides "
        f"{sorted(set(sides))} (dims.attend_at)"
      )
    if self.masked(tokens) and self.regions > tokens:
      raise ValueError(
        f"told.attention.regions={self.regions} with told.source.count="
        f"{tokens}: each region is a token's"
      )

  def inputs(self, tokens: int, side: int) -> dict[str, method.Input]:
    """The regions [side, side] int32, below the number of tokens."""
    if not self.masked(tokens):
      return {}
    return {self.read: method.Input((side, side), jnp.int32, high=tokens)}

  def shares(self, regions: Array) -> Array:
    """[b, side, side, regions] of numbers [b, H, W]: shares of pixels."""
    b, h, _ = regions.shape
    n = h // self.side
    hot = jax.nn.one_hot(regions, self.regions)
    return hot.reshape(b, self.side, n, self.side, n, -1).mean((2, 4))

  def to_masks(self, maps: Array, regions: Array) -> Array:
    """[b] of maps A [b, side, side, K] and numbers [b, H, W]."""
    gap = maps[..., : self.regions] - self.shares(regions)
    return (gap**2).mean((1, 2, 3))

  def to_statistics(self, maps: Array, other: Array, shares: Array) -> Array:
    """[b] of A at two times [b, side, side, K], and M [b, K, places]."""
    gap = maps.mean((1, 2)) - shares.mean(-1)
    moved = jnp.abs(maps - jax.lax.stop_gradient(other))
    return (gap**2).mean(-1) + moved.mean((1, 2, 3))
