"""Views of scenes: which of their pixels are rendered in a step, along rays.

A budget of rays: one random view whole, for a loss of images, and the rest
drawn from the other views (Jang and Agapito 2024, NViST). View 0 is the input,
in whose frame all rays are. Letters: b scenes, m views, r rays.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.nn import cameras

Array = jax.Array
Sides = tuple[int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViewRays:
  """Rays of each scene; the input is never the whole view."""

  budget: int = field.value(15_000, "rays of a scene in a step", low=1)
  whole: bool = field.value(
    True, "render one random view completely; False: rays from all views"
  )

  def inputs(self, views: int, sides: Sides) -> dict[str, method.Input]:
    """Views in 0 .. 1, poses (camera to world), focal lengths over height.

    Raises:
      ValueError: views or a budget with which nothing is drawn.
    """
    pixels = sides[0] * sides[1]
    if views < 2:
      raise ValueError(f"members {views}: an input and at least one other view")
    if self.whole and self.budget <= pixels:
      raise ValueError(
        f"rays.budget={self.budget} is not above the {pixels} pixels of the "
        "view that is whole (rays.whole)"
      )
    return {
      "image": method.Input((views, *sides, 3), range=(0.0, 1.0)),
      "view_pose": method.Input((views, 3, 4)),
      "view_focal": method.Input((views,)),
    }

  def draw(self, keys: randomness.Keys, batch: method.Batch) -> method.Draws:
    """view [b] in 1 .. m - 1, if one is whole; place [b, r]: see `index`."""
    b, m, h, w, _ = batch["image"].shape
    pixels = h * w
    if not self.whole:
      shape = (b, self.budget)
      places = jax.random.randint(keys("place"), shape, 0, m * pixels)
      return {"place": places}
    rest, last = (b, self.budget - pixels), (m - 1) * pixels
    return {
      "view": jax.random.randint(keys("view"), (b,), 1, m),
      "place": jax.random.randint(keys("place"), rest, 0, last),
    }

  def index(self, draws: method.Draws, sides: Sides) -> Array:
    """[b, budget] pixels, counted through all views; the whole view first."""
    if not self.whole:
      return draws["place"]
    pixels = sides[0] * sides[1]
    view, place = draws["view"][:, None], draws["place"]
    # Counted without the whole view.
    place = place + pixels * (place // pixels >= view)
    return jnp.concatenate([view * pixels + jnp.arange(pixels), place], axis=1)

  def every(self, batch: method.Batch) -> Array:
    """[b, m h w]: all pixels of all views."""
    b, m, h, w, _ = batch["image"].shape
    return jnp.broadcast_to(jnp.arange(m * h * w), (b, m * h * w))

  def colours(self, batch: method.Batch, index: Array) -> Array:
    """[b, r, 3] of pixels."""
    flat = batch["image"].reshape(len(index), -1, 3)
    return jnp.take_along_axis(flat, index[..., None], axis=1)

  def seen(
    self, batch: method.Batch, index: Array, sides: Sides
  ) -> tuple[Array, tuple[Array, Array]]:
    """The input's numbers [b, 2], and origins and directions of pixels.

    Args:
      batch: with poses and focal lengths.
      index: [b, r] of pixels.
      sides: (h, w) of a view.
    """
    poses, focal = batch["view_pose"], batch["view_focal"]
    camera = jnp.stack([cameras.distance(poses), focal[:, 0]], axis=-1)
    poses = cameras.relative(poses)
    return camera, cameras.rays(poses, focal, index, sides)
