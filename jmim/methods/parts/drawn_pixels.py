"""Some pixels of an image as it would be at another size: a decoder's truth.

A decoder without a size is trained at sizes that are drawn. Torch's bicubic
resize without antialias is an evaluation at the centres of pixels, so r, the
side of the grid, may be traced: what is fixed is the number of pixels of the
r x r grid that are drawn, and one program serves all sizes.

    r ~ U{least .. greatest}, one for a batch;   pixel ~ U, with replacement
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import randomness
from jmim.nn import liif
from jmim.nn import resize


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pixels:
  """How many, and of which grids."""

  count: int = field.value(
    0, "drawn pixels of an image and step; 0: all of its own", low=0
  )
  sides: tuple = field.value(
    (), "least and greatest side of the grids they are from; (): the image's"
  )

  def check(self) -> None:
    """Raises ValueError for sides that no grid can have."""
    if not self.sides:
      return
    if len(self.sides) != 2 or not 1 <= self.sides[0] <= self.sides[1]:
      raise ValueError(
        f"pixels.sides {self.sides}: the least and the greatest side, or ()"
      )
    if not self.count:
      raise ValueError(
        f"pixels.count=0 with pixels.sides {self.sides}: all pixels of a grid "
        "whose side is drawn are no fixed number"
      )

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, jax.Array]:
    """pixel [b, count, 2] ~ U[0, 1) and side, a number that all share."""
    if not self.count:
      return {}
    at = (shape[0], self.count, 2)
    draws = {"pixel": jax.random.uniform(keys("pixel"), at)}
    if self.sides:
      low, high = self.sides
      draws["side"] = jax.random.randint(keys("side"), (), low, high + 1)
    return draws

  def at(
    self, images: jax.Array, draws: dict[str, jax.Array]
  ) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(places [b, q, 2], size of a pixel [2], colours [b, q, c]), of `nn.liif`.

    Args:
      images: [b, n, n, c], the truth at every size.
      draws: of `draw`.
    """
    b, n, m, c = images.shape
    if not self.count:
      every = jnp.broadcast_to(jnp.asarray(liif.places((n, m))), (b, n * m, 2))
      return every, jnp.asarray(liif.cells((n, m))), images.reshape(b, n * m, c)
    side = draws["side"] if self.sides else n
    place = (2 * jnp.floor(draws["pixel"] * side) + 1) / side - 1
    cell = jnp.full(2, 2.0) / side
    return place, cell, resize.bicubic_at(images, ((place + 1) * n - 1) / 2)
