"""Between images, their inputs, and what is diffused of them.

    z = E(x),  y = E(input enlarged)         E: `first_stage`, or nothing

An image larger than a tile is restored in tiles that overlap.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax

from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.methods.parts import degraded as degradations
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import residual
from jmim.methods.parts import tiles as tiling
from jmim.nn import patch
from jmim.nn import resize

Array = jax.Array
LIMITS = (-1.0, 1.0)  # black and white


class Seen(NamedTuple):
  """What a step is about.

  Attributes:
    z: [b, h, w, c] what is diffused of an image.
    y: the same of its input, enlarged.
    low: the input, [b, h', w', c'].
  """

  z: Array
  y: Array
  low: Array


# (y, input, number of a call -> standard normal like y) -> z.
Made = Callable[[Array, Array, residual.Normal], Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Space:
  """Parts of a method that restores, together.

  Attributes:
    shape: [h, w, c] of what is diffused.
    first_stage: between it and images.
    degraded: what is restored.
    tiles: of large images.
    rt: execution choices.
  """

  shape: tuple[int, int, int]
  first_stage: stages.FirstStage
  degraded: degradations.Degraded
  tiles: tiling.Tiles
  rt: runtime.Runtime

  @property
  def image(self) -> tuple[int, int, int]:
    """[h, w, c] of a whole image."""
    factor, net = self.first_stage.factor, self.first_stage.net
    if not net:
      return patch.unfolded(self.shape, factor)
    side = self.shape[0] * factor
    return (side, side, net.size.channels)

  @property
  def low(self) -> tuple[int, int, int]:
    """[h, w, c] of an input."""
    return self.degraded.low_shape(self.image)

  def inputs(self, unit: int) -> dict[str, method.Input]:
    """Images in -1 .. 1, or pairs of them.

    Args:
      unit: what the side of a diffused tile must divide by.

    Raises:
      ValueError: fields that do not go together.
    """
    stage = self.first_stage
    stage.inputs(self.shape)
    if stage.net and stage.read != "images":
      raise ValueError(
        f"first_stage.read={stage.read!r}: images are degraded before they "
        "become latents: 'images'"
      )
    side, low = self.shape[0], self.low[0]
    if low > side and (low % side or (low // side).bit_count() > 1):
      raise ValueError(
        f"degraded.factor={self.degraded.factor}: an input of side {low} is "
        f"not {side}, that of what is diffused, after some halvings"
      )
    unit *= stage.factor
    self.tiles.check(self.image[0], factor=self.degraded.factor, unit=unit)
    return self.degraded.inputs(self.image, LIMITS)

  def draw(self, keys: randomness.Keys, batch: int) -> method.Draws:
    """posterior, if there is one, and the numbers of the degradation."""
    posterior = self.first_stage.draw(keys, (batch, *self.shape))
    return posterior | self.degraded.draw(keys, (batch, *self.image))

  def seen(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> Seen:
    """Of a batch and what was drawn for it."""
    low, high = self.degraded.pair(batch, draws, LIMITS)
    z = self.first_stage.encode(weights, {"image": high}, draws)
    return Seen(z, self.encoded(weights, low, draws), low)

  def encoded(
    self, weights: method.Weights, low: Array, draws: method.Draws
  ) -> Array:
    """y of an input of any size, enlarged as torch's bicubic resize does."""
    sides = [n * self.degraded.factor for n in low.shape[1:3]]
    image = resize.images(low, sides, "bicubic")
    return self.first_stage.encode(weights, {"image": image}, draws)

  def restored(
    self,
    weights: method.Weights,
    batch: method.Batch,
    key: Array,
    made: Made,
  ) -> dict[str, Array]:
    """image, target and input in -1 .. 1, tile by tile.

    Args:
      weights: with the first stage, if there is one.
      batch: what `inputs` names.
      key: of all that is drawn, which an image's own number goes into.
      made: what is to be decoded.
    """
    low, high = self.degraded.fixed(batch, LIMITS)
    # Evaluators hand no places in the data set to outputs.
    numbers, net = self.degraded.numbers(batch, LIMITS), self.first_stage.net
    mode = {"posterior": 0.0} if net and net.gaussian else {}

    def tile(low, number):
      y = self.encoded(weights, low, mode)
      own = jax.random.fold_in(key, number)
      draw = randomness.normals(own, numbers, y.shape[1:])
      normal = lambda call: self.rt.shard(draw(call))
      return self.first_stage.decode(weights, made(y, low, normal))

    image = self.tiles.apply(tile, low, self.degraded.factor)
    return self.degraded.output(image, low, high)
