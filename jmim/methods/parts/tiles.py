"""Large images in tiles that overlap.

What is made of each tile is averaged where tiles overlap; the last tile of an
axis ends where the image does.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field

# (part of the input [b, h, w, c], number of the tile) -> its result.
Restore = Callable[[jax.Array, jax.Array], jax.Array]


def starts(length: int, side: int, stride: int) -> list[int]:
  """First pixels of the tiles along an axis, at least as long as a tile."""
  found = list(range(0, length - side, stride))
  return [*found, length - side]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tiles:
  """Side of the tiles, and how far they are apart."""

  asked: ClassVar[bool] = True  # a run may restore in other tiles

  side: int = field.value(
    512, "side of a tile [pixels of the result]; 0: no tiles", low=0
  )
  stride: int = field.value(
    448, "from one tile to the next [pixels of the result]", low=1
  )

  def check(self, image: int, *, factor: int, unit: int) -> None:
    """Raises ValueError for tiles that cannot be cut, or leave gaps.

    Args:
      image: side of a result.
      factor: of it over that of the input.
      unit: pixels of the result that must divide the side of a tile.
    """
    if self.side and self.stride > self.side:
      raise ValueError(
        f"tiles.stride={self.stride} above {self.side}, the side"
      )
    if not 0 < self.side < image:  # there is one
      return
    for name, multiple in (
      ("side", math.lcm(unit, factor)),
      ("stride", factor),
    ):
      if getattr(self, name) % multiple:
        raise ValueError(
          f"tiles.{name}={getattr(self, name)} is no multiple of {multiple}"
        )

  def apply(self, restore: Restore, low: jax.Array, factor: int) -> jax.Array:
    """The result [b, h f, w f, c] of an input [b, h, w, c'].

    Args:
      restore: of the whole input as tile 0, where that is no larger than one.
      low: the input.
      factor: f.
    """
    sides = [n * factor for n in low.shape[1:3]]
    if not self.side or min(sides) < self.side or max(sides) == self.side:
      return restore(low, jnp.int32(0))
    small = self.side // factor
    rows, columns = (starts(n, self.side, self.stride) for n in sides)
    corners = np.array([(i, j) for i in rows for j in columns])

    def one(corner):
      at = (0, *(corner // factor), 0)
      return jax.lax.dynamic_slice(
        low, at, (len(low), small, small, low.shape[-1])
      )

    def add(total, tile):
      number, corner = tile
      made = restore(one(corner), number)
      at = (0, *corner, 0)
      seen = jax.lax.dynamic_slice(total, at, made.shape)
      return jax.lax.dynamic_update_slice(total, seen + made, at), None

    shape = jax.eval_shape(restore, one(corners[0]), jnp.int32(0))
    total = jnp.zeros((len(low), *sides, shape.shape[-1]), shape.dtype)
    numbered = (jnp.arange(len(corners)), jnp.asarray(corners))
    total, _ = jax.lax.scan(add, total, numbered)
    counts = np.zeros(sides, np.float32)
    for i, j in corners:
      counts[i : i + self.side, j : j + self.side] += 1
    return total / counts[..., None]
