"""An image that others are drawn to: a board of checks, or one for each."""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.diffusion import model
from jmim.diffusion import perturb


@dataclasses.dataclass(frozen=True, kw_only=True)
class Texture:
  """Which texture, and what it is to a model."""

  kind: str = field.value(
    "checks",
    "black and white checks, or (batch) `target`, stored with each image",
    choices=("checks", "batch"),
  )
  fields: int = field.value(8, "checks along a side", low=2)

  def inputs(self, image: method.Input) -> dict[str, method.Input]:
    """target, where it is stored; image: what images are.

    Raises:
      ValueError: more checks along a side than pixels.
    """
    if self.kind == "batch":
      return {"target": image}
    if self.fields > min(image.shape[:2]):
      raise ValueError(
        f"target.fields={self.fields} of an image {image.shape[:2]}"
      )
    return {}

  def encoded(self, source: model.Diffuser, batch: method.Batch) -> jax.Array:
    """[b, h, w, c], or [1, h, w, c] of the same for all: its latents' mean."""
    if self.kind == "batch":
      return source.encode(batch["target"])
    board = perturb.checks(source.image, self.fields)
    return source.encode(jnp.asarray(board)[None])
