"""Pixels that are missing: boxes, shown to a restorer as a channel of its own.

m      = 1 inside any of the boxes
input  = [x (1 - m), m]
weight of an error: `known` where m = 0, `missing` where m = 1
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import randomness

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Holes:
  """Boxes of missing pixels, and what an error on either side weighs."""

  boxes: int = field.value(0, "boxes per image; 0: no pixel is missing", low=0)
  sides: tuple = field.value(
    (0.1, 0.5), "least and greatest side of a box over the image's"
  )
  known: float = field.value(10.0, "weight of errors on known pixels", low=0.0)
  missing: float = field.value(
    1.0, "weight of errors on missing pixels", low=0.0
  )

  @property
  def channels(self) -> int:
    """Channels of the input beside the image's."""
    return int(self.boxes > 0)

  def check(self, factor: int = 1) -> None:
    """Raises ValueError for sides that are none, or a result of another size.

    Args:
      factor: side of what is restored over that of what is shown.
    """
    if len(self.sides) != 2 or not 0 < self.sides[0] <= self.sides[1] <= 1:
      raise ValueError(
        f"holes.sides={self.sides}: the least and the greatest, above 0 and at "
        "most 1"
      )
    if self.boxes and factor != 1:
      raise ValueError(
        f"holes.boxes={self.boxes} with degraded.factor={factor}: holes "
        "are cut into images as large as the result; set one to 0 or 1"
      )

  def draw(self, keys: randomness.Keys, b: int) -> dict[str, Array]:
    """boxes [b, n, 4] ~ U[0, 1): height, width, top, left; {} without."""
    if not self.boxes:
      return {}
    return {"boxes": jax.random.uniform(keys("boxes"), (b, self.boxes, 4))}

  def mask(self, boxes: Array, sides: tuple[int, int]) -> Array:
    """[b, h, w, 1], 1 where a pixel is missing.

    Args:
      boxes: of `draw`.
      sides: (h, w) of the images.
    """
    low, high = self.sides
    inside = []
    for axis, n in enumerate(sides):
      side = (low + (high - low) * boxes[..., axis]) * n
      start = boxes[..., 2 + axis] * (n - side)
      place = jnp.arange(n) + 0.5
      inside.append(
        abs(place - (start + side / 2)[..., None]) < side[..., None] / 2
      )
    rows, columns = inside
    both = rows[..., :, None] & columns[..., None, :]
    return both.any(1)[..., None].astype(jnp.float32)

  def cut(self, x: Array, draws: dict[str, Array]) -> Array:
    """[b, h, w, c + 1] images without what is missing, and the mask beside.

    Args:
      x: [b, h, w, c]; they stay as they are without boxes.
      draws: of `draw`.
    """
    if not self.boxes:
      return x
    m = self.mask(draws["boxes"], x.shape[1:3])
    return jnp.concatenate([x * (1 - m), m], axis=-1)

  def fixed(self, x: Array, numbers: Array) -> Array:
    """`cut` of images by boxes that their numbers [b] give."""

    def one(key):
      return self.draw(randomness.Keys(key), 1)

    draws = jax.vmap(one)(randomness.numbered(jax.random.key(0), numbers))
    return self.cut(x, {name: a[:, 0] for name, a in draws.items()})

  def weighted(self, error: Array, shown: Array) -> Array:
    """Errors [b, h, w, c] times their weights; shown: of `cut`."""
    if not self.boxes:
      return error
    m = shown[..., -1:]
    return error * (self.known * (1 - m) + self.missing * m)

  def pasted(self, made: Array, shown: Array) -> Array:
    """What was made [b, h, w, c], with the known pixels of `cut`."""
    if not self.boxes:
      return made
    m = shown[..., -1:]
    return made * m + shown[..., :-1] * (1 - m)
