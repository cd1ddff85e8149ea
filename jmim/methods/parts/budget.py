"""How far and in how many steps an image may be changed: a box around it.

Lengths are in 255ths of the range of images, which are in -1 .. 1: as many
grey levels of a file. A box ends where images do.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import randomness
from jmim.diffusion import perturb

UNIT = (perturb.HIGH - perturb.LOW) / 255  # a grey level


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
  """Fields of the box, and the way of a projected sign gradient in it."""

  steps: int = field.value(100, "steps of the attack", low=1)
  epsilon: float = field.value(
    16.0, "largest change of a pixel [255ths of the range]", above=0.0
  )
  alpha: float = field.value(
    1.0, "length of a step [255ths of the range]", above=0.0
  )
  start: bool = field.value(False, "begin at a random place of the box")

  @property
  def radius(self) -> float:
    """Of the box, in the units of images."""
    return UNIT * self.epsilon

  def lengths(self, slowing: bool) -> np.ndarray:
    """[steps] of the steps, in the units of images.

    Args:
      slowing: they fall along a line, which ends at a hundredth of the first
        one step after the last.
    """
    first = UNIT * self.alpha
    fall = 0.99 * first / self.steps if slowing else 0.0
    return first - fall * np.arange(self.steps)

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, jax.Array]:
    """start: ~ U[-1, 1), of the shape of an image."""
    return {"start": jax.random.uniform(keys("start"), shape, minval=-1.0)}

  def begun(self, clean: jax.Array, start: jax.Array) -> jax.Array:
    """Where an attack begins: clean images, or a place near them."""
    if not self.start:
      return clean
    return self.boxed(clean + self.radius * start, clean)

  def corner(self, clean: jax.Array, start: jax.Array) -> jax.Array:
    """A corner of the box: every pixel as far away as it may be."""
    return self.boxed(clean + self.radius * jnp.sign(start), clean)

  def boxed(self, x: jax.Array, clean: jax.Array) -> jax.Array:
    """Images moved into the box around clean ones."""
    return perturb.boxed(x, clean, self.radius)
