"""Which pixels of a scene's views are rendered in a step.

A budget of rays: one random view whole, for a loss of images, and the rest
drawn from the other views (Jang and Agapito 2024, NViST). Letters: b scenes, m
views, r rays.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViewRays:
  """Rays of each scene; view 0 is the input, and never the whole one."""

  budget: int = field.value(15_000, "rays of a scene in a step", low=1)
  whole: bool = field.value(
    True, "render one random view completely; False: rays from all views"
  )

  def check(self, views: int, sides: tuple[int, int]) -> None:
    """Raises ValueError for views or a budget with which nothing is drawn."""
    pixels = sides[0] * sides[1]
    if views < 2:
      raise ValueError(f"members {views}: an input and at least one other view")
    if self.whole and self.budget <= pixels:
      raise ValueError(
        f"rays.budget={self.budget} is not above the {pixels} pixels of the "
        "view that is whole (rays.whole)"
      )

  def draw(
    self, keys: randomness.Keys, scenes: int, views: int, pixels: int
  ) -> method.Draws:
    """view [b] in 1 .. m - 1, if one is whole; place [b, r]: see `index`.

    Args:
      keys: of draws.
      scenes: b.
      views: m.
      pixels: of a view.
    """
    if not self.whole:
      shape = (scenes, self.budget)
      places = jax.random.randint(keys("place"), shape, 0, views * pixels)
      return {"place": places}
    view = jax.random.randint(keys("view"), (scenes,), 1, views)
    rest = (scenes, self.budget - pixels)
    last = (views - 1) * pixels
    return {
      "view": view,
      "place": jax.random.randint(keys("place"), rest, 0, last),
    }

  def index(self, draws: method.Draws, pixels: int) -> Array:
    """[b, budget] pixels, counted through all views; the whole view first."""
    if not self.whole:
      return draws["place"]
    view, place = draws["view"][:, None], draws["place"]
    # Counted without the whole view.
    place = place + pixels * (place // pixels >= view)
    return jnp.concatenate([view * pixels + jnp.arange(pixels), place], axis=1)
