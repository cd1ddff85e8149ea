"""Volumes as tokens: boxes of voxels in raster order (d, then h, then w).

Letters: b batch, n tokens, k those in front, v voxels of a token.
"""

import dataclasses
import math

import einops
import jax
import jax.numpy as jnp

Shape = tuple[int, int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Raster:
  """Which voxels a token is made of.

  Attributes:
    shape: [d, h, w] of a volume [voxels].
    patch: of a token [voxels].
  """

  shape: Shape
  patch: Shape

  def check(self) -> None:
    """Raises ValueError for tokens that do not fill the volume."""
    if len(self.shape) != 3 or len(self.patch) != 3:
      raise ValueError(
        f"shape={self.shape} and patch={self.patch}: three numbers each"
      )
    if any(p < 1 or s % p for s, p in zip(self.shape, self.patch, strict=True)):
      raise ValueError(
        f"shape={self.shape}: every side must be a multiple of that of "
        f"patch={self.patch}"
      )
    if self.count < 2:
      raise ValueError(
        f"one token, patch={self.patch}, of shape={self.shape}: none is next"
      )

  @property
  def grid(self) -> Shape:
    """Tokens along each axis."""
    return tuple(s // p for s, p in zip(self.shape, self.patch, strict=True))

  @property
  def count(self) -> int:
    """n, tokens of a volume."""
    return math.prod(self.grid)

  @property
  def voxels(self) -> int:
    """v, of a token."""
    return math.prod(self.patch)

  def tokens(self, volume: jax.Array) -> jax.Array:
    """[b, d, h, w] -> [b, n, v]."""
    p, q, r = self.patch
    pattern = "b (d p) (h q) (w r) -> b (d h w) (p q r)"
    return einops.rearrange(volume, pattern, p=p, q=q, r=r)

  def volume(self, tokens: jax.Array) -> jax.Array:
    """[b, n, v] -> [b, d, h, w], the inverse of `tokens`."""
    (d, h, _), (p, q, r) = self.grid, self.patch
    pattern = "b (d h w) (p q r) -> b (d p) (h q) (w r)"
    return einops.rearrange(tokens, pattern, d=d, h=h, p=p, q=q, r=r)

  def prefix(self, length: jax.Array) -> jax.Array:
    """[b, n] bool, the first `length` [b] tokens: data, so a mask."""
    return jnp.arange(self.count) < length[:, None]

  def spread(self, of_tokens: jax.Array) -> jax.Array:
    """[b, n] -> [b, d, h, w], the number of its token for every voxel."""
    each = (*of_tokens.shape, self.voxels)
    return self.volume(jnp.broadcast_to(of_tokens[..., None], each))

  def hide(
    self, volume: jax.Array, keep: jax.Array, fill: jax.Array | float = 0.0
  ) -> jax.Array:
    """[b, d, h, w] with `fill` in place of the tokens that are not kept.

    Args:
      volume: [b, d, h, w].
      keep: [b, n] bool.
      fill: a number, or one per voxel [b, d, h, w].
    """
    return jnp.where(self.spread(keep), volume, fill)

  def take(self, volume: jax.Array, index: jax.Array) -> jax.Array:
    """[b, v], of each volume [d, h, w] the token of a number, index [b]."""
    return jnp.take_along_axis(
      self.tokens(volume), index[:, None, None], axis=1
    )[:, 0]
