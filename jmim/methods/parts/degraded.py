"""What a restorer is shown, and what it should give.

    low  = preset(high, drawn numbers)        high = image of the batch
    or both are stored as a pair: `degradation` "pairs"

Of pairs of one size, a batch holds `pair` [2, h, w, c] (`low`, `high`); of
pairs whose low image is smaller by the factor, the pictures `low` and `high`
(`data.pictures`). Images are in the units of the method, which says its
limits; degradations compute in 0 .. 1. Evaluation degrades an image with
numbers that depend on its pixels alone: all runs, whatever their seed, batch
and method, are measured on the same input.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.nn.degrade import presets

Array = jax.Array
Limits = tuple[float, float]

PAIRS = "pairs"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Degraded:
  """Which degradation, and how much smaller its result is."""

  degradation: str = field.value(
    "bicubic",
    "degradation of images; 'pairs': the spoilt ones are stored, too",
    choices=(PAIRS, *presets.PRESETS),
    asked=True,
  )
  factor: int = field.value(
    4, "side of an image over that of the spoilt one", low=1
  )

  @property
  def _preset(self):
    return presets.PRESETS[self.degradation]

  def check(self, shape: tuple[int, int, int]) -> None:
    """Raises ValueError for fields that do not go together.

    Args:
      shape: [h, w, c] of a whole image.
    """
    name, factor = self.degradation, self.factor
    if any(n % factor for n in shape[:2]):
      raise ValueError(
        f"degraded.factor={factor} does not divide the sides of an image, "
        f"{shape[0]} x {shape[1]}"
      )
    if name == PAIRS:
      return
    if factor != 1 and not self._preset.shrinks:
      raise ValueError(
        f"degraded.factor={factor} with degraded.degradation={name!r}, which "
        "keeps the size: set degraded.factor=1"
      )
    if factor == 1 and isinstance(self._preset, presets.Bicubic):
      raise ValueError(
        f"degraded.factor=1 with degraded.degradation={name!r}, which would "
        "change nothing: set degraded.factor to 2 or more"
      )

  def low_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """[h, w, c] of a spoilt image."""
    return (shape[0] // self.factor, shape[1] // self.factor, shape[2])

  def inputs(
    self, shape: tuple[int, int, int], limits: Limits
  ) -> dict[str, method.Input]:
    """What is read: `image`, `pair`, or `low` and `high`.

    Args:
      shape: [h, w, c] of a whole image.
      limits: black and white in the units of the method: (0, 1), (-1, 1).
    """
    self.check(shape)
    made = lambda *shape: method.Input(shape, range=limits)
    if self.degradation != PAIRS:
      return {"image": made(*shape)}
    if self.factor == 1:
      return {"pair": made(2, *shape)}
    return {"low": made(*self.low_shape(shape)), "high": made(*shape)}

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, dict[str, Array]]:
    """degradation: its numbers by name, each [b, ...]; {} where it has none.

    Args:
      keys: of all draws.
      shape: [b, h, w, c] of whole images.
    """
    if self.degradation == PAIRS:
      return {}
    own = randomness.Keys(keys("degradation"))
    found = self._preset.draw(own, shape)
    return {"degradation": found} if found else {}

  def pair(
    self, batch: method.Batch, draws: method.Draws, limits: Limits
  ) -> tuple[Array, Array]:
    """(low [b, h / f, w / f, c], high [b, h, w, c]), in the method's units.

    Args:
      batch: what `inputs` names.
      draws: of `draw`.
      limits: as of `inputs`.
    """
    if self.degradation == PAIRS:
      if self.factor == 1:
        return batch["pair"][:, 0], batch["pair"][:, 1]
      return batch["low"], batch["high"]
    high, (black, white) = batch["image"], limits
    own = draws.get("degradation", {})
    low = self._preset((high - black) / (white - black), own, self.factor)
    return low * (white - black) + black, high

  def clean(self, batch: method.Batch) -> Array:
    """[b, h, w, c], the whole images alone, in the method's units."""
    if self.degradation != PAIRS:
      return batch["image"]
    return batch["pair"][:, 1] if self.factor == 1 else batch["high"]

  def fixed(self, batch: method.Batch, limits: Limits) -> tuple[Array, Array]:
    """`pair` with numbers that an image itself gives."""
    if self.degradation == PAIRS:
      return self.pair(batch, {}, limits)
    shape = (1, *batch["image"].shape[1:])

    def one(key):
      return self.draw(randomness.Keys(key), shape)

    numbers = self.numbers(batch, limits)
    draws = jax.vmap(one)(randomness.numbered(jax.random.key(0), numbers))
    draws = jax.tree.map(lambda x: x[:, 0], draws)
    return self.pair(batch, draws, limits)

  def numbers(self, batch: method.Batch, limits: Limits) -> Array:
    """[b] uint32 numbers of whole images, see `number`.

    Evaluators hand no places in the data set to outputs.
    """
    if self.degradation != PAIRS:
      image = batch["image"]
    else:
      _, image = self.pair(batch, {}, limits)
    black, white = limits
    return number((image - black) / (white - black))

  def output(self, image: Array, low: Array, high: Array) -> dict[str, Array]:
    """`restore` of a method, as evaluators read it: image, target, input."""
    return {"image": image, "target": high, "input": low}


def number(image: Array) -> Array:
  """[b] uint32 of the 8-bit levels of images [b, ...] in 0 .. 1.

  A sum of levels by their places, modulo 2^32: whole numbers, so that it is
  the same on all machines.
  """
  levels = jnp.round(image.reshape(len(image), -1) * 255).astype(jnp.uint32)
  place = np.arange(1, levels.shape[1] + 1, dtype=np.uint32)
  # Knuth's multiplier, of which the powers of two are nowhere near each other.
  weights = place * np.uint32(2654435761) ^ (place << np.uint32(13))
  return (levels * weights).sum(1, dtype=jnp.uint32)
