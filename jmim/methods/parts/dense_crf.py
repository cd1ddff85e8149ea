"""A fully connected random field that draws a mask to the edges of a picture.

Two kernels as in `pydensecrf`'s examples: near pixels, and pixels that are
near and of a like colour. See `nn/crf.py`.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.nn import crf

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crf:
  """Widths and weights; the defaults are those of DiffuMask's final masks."""

  steps: int = field.value(10, "steps of mean field; 0: none", low=0)
  certainty: float = field.value(
    0.5, "probability of a pixel's own label", above=0.0, below=1.0
  )
  classes: int = field.value(
    21, "labels among which the rest is shared, the ground's too", low=2
  )
  near: float = field.value(
    3.0, "width of the kernel of places alone [pixels]", above=0.0
  )
  near_weight: float = field.value(3.0, "weight of that kernel", low=0.0)
  place: float = field.value(
    80.0, "width in places of the kernel of places and colours", above=0.0
  )
  colour: float = field.value(
    13.0, "width in levels (of 255) of that kernel", above=0.0
  )
  weight: float = field.value(
    10.0, "weight of the kernel of places and colours", low=0.0
  )
  exact_side: int = field.value(
    64, "side up to which that kernel is exact; above it on a grid", low=0
  )

  def thing(self, images: Array) -> Callable[[Array], Array]:
    """What makes masks [b, h, w] probabilities of the thing.

    Args:
      images: [b, h, w, 3] in -1 .. 1.

    Returns:
      bool [b, h, w] -> Q [b, h, w, 2], of the ground and of the thing.
    """
    levels = jnp.clip(127.5 * (images + 1), 0, crf.LEVELS)
    sides = levels.shape[1:3]
    filters = (
      (self.near_weight, crf.gaussian(sides, self.near)),
      (
        self.weight,
        crf.bilateral(levels, self.place, self.colour, self.exact_side**2),
      ),
    )

    def run(mask):
      unary = crf.certain(mask.astype(jnp.int32), self.classes, self.certainty)
      copies = (1, 1, self.classes - 2)
      return crf.mean_field(unary, filters, self.steps, copies)[..., :2]

    return run
