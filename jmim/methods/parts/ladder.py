"""Samples larger than a network was trained for: SDEdit, rung by rung.

Meng et al. 2022, as LinFusion and others climb to 16 K: a sample at the side
of training has the composition; doubled, noised and denoised again it gets the
detail of its new side.

    z_0     = sampler, from noise, at side n
    z_{i+1} = sampler, from a_k z + s_k eps on,  z = E(twice(D(z_i)))

with k the first of the last `strength` of the sampler's calls.
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import jax

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import latent_mode
from jmim.nn import resize


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ladder:
  """How often a sample is doubled, and how much of it is made anew."""

  asked: ClassVar[bool] = True  # a run may be sampled otherwise

  rungs: int = field.value(0, "times that a sample's side is doubled", low=0)
  strength: float = field.value(
    0.7, "share of the sampler's calls after each doubling", above=0, high=1.0
  )

  def check(self, first_stage: stages.FirstStage) -> None:
    """Raises ValueError where latents cannot be doubled as images."""
    if self.rungs and not first_stage.decodes:
      raise ValueError(
        f"ladder.rungs={self.rungs} with first_stage.variant "
        f"{first_stage.variant!r} and no first_stage.path: a sample is doubled "
        "as an image, and encoded again"
      )

  def climb(
    self,
    again: Callable[..., jax.Array],
    image: jax.Array,
    *,
    weights: method.Weights,
    first_stage: stages.FirstStage,
    keys: randomness.Keys,
  ) -> jax.Array:
    """Images [b, h, w, c] of 2^rungs times the side.

    Args:
      again: `Guided.sample` but for shape, key, of and share.
      image: [b, h, w, c], sampled at the side of training.
      weights: with the first stage among the consts, if there is one.
      first_stage: between images and what is diffused.
      keys: one for each rung is taken.
    """
    for i in range(self.rungs):
      z = self.twice(weights, image, first_stage)
      options = dict(of=z, share=self.strength)
      z = again(shape=z.shape[1:], key=keys(f"rung {i}"), **options)
      image = first_stage.decode(weights, z)
    return image

  def twice(
    self,
    weights: method.Weights,
    image: jax.Array,
    first_stage: stages.FirstStage,
  ) -> jax.Array:
    """What is diffused of images doubled in height and width.

    Args:
      weights: see `climb`.
      image: [b, h, w, c].
      first_stage: see `climb`; the mean of its posterior is taken.
    """
    height, width = image.shape[1:3]
    image = resize.images(image, (2 * height, 2 * width))
    return latent_mode.encoded(first_stage, weights, image)
