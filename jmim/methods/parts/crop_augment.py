"""A crop that tells one thing only: it is moved and recoloured at random.

What is to be read from a crop is what these changes leave (Liu et al. 2024):
mirrored, shifted, scaled and turned (edges mirrored), its colours changed,
blurred, each with a probability of its own. Values in -1 .. 1.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import randomness
from jmim.nn.degrade import noise

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class CropAugment:
  """How often a crop is changed, and by how much."""

  flip: float = field.value(0.5, "share mirrored", low=0.0, high=1.0)
  colour: float = field.value(0.3, "share recoloured", low=0.0, high=1.0)
  strength: float = field.value(
    0.2, "brightness, contrast, saturation change by factors 1 -+ it", low=0.0
  )
  hue: float = field.value(0.2, "greatest turn of hue, of a circle", low=0.0)
  blur: float = field.value(0.1, "share blurred, 3 x 3", low=0.0, high=1.0)
  move: float = field.value(
    0.5, "share shifted, scaled and turned", low=0.0, high=1.0
  )
  turn: float = field.value(20.0, "greatest angle [degrees]", low=0.0)
  scale: float = field.value(0.1, "factors 1 -+ it", low=0.0, below=1.0)
  shift: tuple = field.value(
    (0.1, 0.2), "greatest shifts of rows and of columns, in shares of the side"
  )

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, Array]:
    """Coins [b, 4] in 0 .. 1, and how much [b, 8] in -1 .. 1."""
    b = shape[0]
    sizes = jax.random.uniform(keys("crop_sizes"), (b, 8), minval=-1.0)
    return {
      "crop_coins": jax.random.uniform(keys("crop_coins"), (b, 4)),
      "crop_sizes": sizes,
    }

  def places(self, draws: dict[str, Array], side: int) -> Array:
    """[b, side, side, 2] (row, column) of a crop that each new pixel shows."""
    coins, sizes = draws["crop_coins"], draws["crop_sizes"]
    moves = coins[:, 0] < self.move
    how = lambda k, most: jnp.where(moves, most * sizes[:, k], 0.0)
    angle, scale = how(0, np.radians(self.turn)), 1 + how(1, self.scale)
    far = jnp.stack([how(2 + k, self.shift[k]) for k in (0, 1)], 1) * side
    at = jnp.arange(side, dtype=jnp.float32) - (side - 1) / 2
    y, x = at[:, None], at[None]
    flips = (coins[:, 1] < self.flip)[:, None, None]
    x = jnp.where(flips, -x, x)
    y = y - far[:, 0, None, None]
    x = x - far[:, 1, None, None]
    wave = lambda f: (f(angle) / scale)[:, None, None]
    sin, cos = wave(jnp.sin), wave(jnp.cos)
    places = jnp.stack([cos * y - sin * x, sin * y + cos * x], -1)
    return mirrored(places + (side - 1) / 2, side)

  def recoloured(self, images: Array, draws: dict[str, Array]) -> Array:
    """Colours changed and blurred, where the coins say so; in -1 .. 1."""
    coins = draws["crop_coins"][:, :, None, None, None]
    changed = self._colours((images + 1) / 2, draws["crop_sizes"])
    images = jnp.where(coins[:, 2] < self.colour, 2 * changed - 1, images)
    return jnp.where(coins[:, 3] < self.blur, _means(images), images)

  def _colours(self, x, sizes):
    """Brightness, contrast, saturation, hue: of 0 .. 1, one after the other."""
    one = lambda k: sizes[:, k, None, None, None]
    x = jnp.clip(x * (1 + self.strength * one(4)), 0, 1)
    if x.shape[-1] != len(noise.LUMA):
      return x
    grey = lambda x: (x * jnp.array(noise.LUMA)).sum(-1, keepdims=True)
    mean = grey(x).mean((1, 2, 3), keepdims=True)
    x = jnp.clip(mean + (x - mean) * (1 + self.strength * one(5)), 0, 1)
    x = jnp.clip(grey(x) + (x - grey(x)) * (1 + self.strength * one(6)), 0, 1)
    turned = jnp.einsum("bij,bhwj->bhwi", self._hues(sizes[:, 7]), x)
    return jnp.clip(turned, 0, 1)

  def _hues(self, share):
    """[b, 3, 3]: turns of colours about the line of greys."""
    angle = (2 * np.pi * self.hue * share)[:, None, None]
    sin, cos = jnp.sin(angle), jnp.cos(angle)
    third = jnp.full((3, 3), 1 / 3)
    across = jnp.array([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / 3**0.5
    return cos * jnp.eye(3) + (1 - cos) * third + sin * across


def mirrored(places: Array, side: int) -> Array:
  """Places beyond the first and the last pixel, seen in a mirror there."""
  if side == 1:
    return jnp.zeros_like(places)
  period = 2 * (side - 1)
  return (side - 1) - jnp.abs(jnp.mod(places, period) - (side - 1))


def _means(x):
  """Of 3 x 3 pixels, those at the edges repeated."""
  pads = [(0, 0), (1, 1), (1, 1), (0, 0)]
  wide = jnp.pad(x, pads, mode="edge")
  total = jax.lax.reduce_window(
    wide, 0.0, jax.lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "VALID"
  )
  return total / 9
