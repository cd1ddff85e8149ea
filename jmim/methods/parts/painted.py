"""A picture of which a part, a mask, is to be painted anew.

    z       = E(x)
    concat  = [m, E(x (1 - m))]        m by the upper left pixel of each latent
    loss    = mean w (eps - e)^2       w = alpha where m is 1, elsewhere 1
    pasted  = m made + (1 - m) x       in pixels

E is the first stage, each time with a posterior sample of its own, or its mean.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import latent_mode

Array = jax.Array
MASK = "mask"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Painted:
  """Where pictures and their masks are, and what an error weighs."""

  read: str = field.value(
    "image", "entry of the pictures; of rectangles one of data.pictures"
  )
  alpha: float = field.value(
    5.0, "weight of an error in the mask; 1 elsewhere", above=0.0
  )

  def inputs(
    self, stage: stages.FirstStage, shape: tuple[int, ...]
  ) -> dict[str, method.Input]:
    """Pictures [b, H, W, c], and mask [b, H, W] int32, 1: painted anew.

    Args:
      stage: between pictures and what is diffused.
      shape: [h, w, c] of what is diffused.

    Raises:
      ValueError: a first stage that reads no pictures, or a shape that it has
        not.
    """
    if stage.net and (len(shape) != 3 or shape[0] != shape[1]):
      raise ValueError(
        f"size={shape[:-1]}: of a first_stage two that are equal"
      )
    if len(shape) != 3:
      raise ValueError(f"size={shape[:-1]}: height and width")
    if stage.net and stage.read != "images":
      raise ValueError("first_stage.read='images': what is left is encoded")
    (picture,) = stage.inputs(shape).values()
    mask = method.Input(picture.shape[:2], jnp.int32, high=2)
    return {self.read: picture, MASK: mask}

  def draw(
    self,
    keys: randomness.Keys,
    shape: tuple[int, ...],
    stage: stages.FirstStage,
  ) -> dict[str, Array]:
    """posterior [b, 2, h, w, c] of a picture and of what is left of it."""
    return stage.draw(keys, (shape[0], 2, *shape[1:]))

  def latents(
    self,
    stage: stages.FirstStage,
    weights: method.Weights,
    batch: method.Batch,
    draws: method.Draws,
  ) -> tuple[Array, dict[str, Array]]:
    """(z [b, h, w, c], `beside`) of a training step; no gradient."""
    noise = draws.get("posterior")
    whole, rest = (None, None) if noise is None else (noise[:, 0], noise[:, 1])
    z = latent_mode.encoded(stage, weights, self.picture(batch), whole)
    return jax.lax.stop_gradient(z), self.beside(stage, weights, batch, rest)

  def beside(
    self,
    stage: stages.FirstStage,
    weights: method.Weights,
    batch: method.Batch,
    noise: Array | None = None,
  ) -> dict[str, Array]:
    """concat [b, h, w, 1 + c]: the mask, and the latent of what is left.

    Args:
      stage: encodes.
      weights: of the method, for the stage.
      batch: with pictures and masks.
      noise: of the posterior [b, h, w, c]; None: its mean.
    """
    hidden, f = self.hidden(batch), stage.factor
    left = jnp.where(hidden, 0.0, self.picture(batch))
    z = latent_mode.encoded(stage, weights, left, noise)
    small = hidden[:, ::f, ::f].astype(z.dtype)
    both = jnp.concatenate([small, z], axis=-1)
    return {"concat": jax.lax.stop_gradient(both)}

  def loss(
    self, pred: Array, noise: Array, shown: dict[str, Array]
  ) -> method.Loss:
    """Weighed error of the noise [b, h, w, c]; aux: without weights."""
    error, hidden = (pred - noise) ** 2, shown["concat"][..., :1] > 0
    weighed = jnp.where(hidden, self.alpha, 1.0) * error
    return weighed.mean(), {"loss_unweighted": error.mean()}

  def picture(self, batch: method.Batch) -> Array:
    """[b, H, W, c], as they are."""
    return batch[self.read]

  def hidden(self, batch: method.Batch) -> Array:
    """bool [b, H, W, 1]: what is painted anew."""
    return batch[MASK][..., None] > 0

  def pasted(self, batch: method.Batch, made: Array) -> dict[str, Array]:
    """image: made in the mask, and source around it; made; source."""
    source = self.picture(batch)
    image = jnp.where(self.hidden(batch), made, source)
    return {"image": image, "made": made, "source": source}

  def outside(
    self, batch: method.Batch, found: dict[str, Array]
  ) -> dict[str, Array]:
    """[b] mean |change| of pixels outside of the mask: of image, of made."""
    out = ~self.hidden(batch)

    def change(image):
      gap = jnp.where(out, jnp.abs(image - found["source"]), 0.0)
      count = out.sum((1, 2, 3)) * image.shape[-1]
      return gap.sum((1, 2, 3)) / jnp.maximum(count, 1)

    return {name: change(found[name]) for name in ("image", "made")}
