"""Latents at the mode of the posterior, or with its noise given.

    z = scale (mean(E(x)) - shift)    a Gaussian posterior (KL)
    z = scale (E(x) - shift)          before quantisation (VQ), or plain

normalised by channel first where there are statistics, as of a
`first_stage.FirstStage`, for methods that diffuse nothing and for models
that are frozen; nothing is drawn. Without one the images are the latents. LMD
(Ma et al. 2024) does not scale: its factor is 1, whatever factor the weights of
the first stage came with.
"""

import dataclasses

import jax

from jmim.core import method
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import latent_channels
from jmim.nn import patch
from jmim.nn.nets import autoencoder


def latents(
  stage: stages.FirstStage, weights: method.Weights, batch: method.Batch
) -> jax.Array:
  """Scaled latents of stored moments, or of images or clips; no gradient."""
  if not stage.net:
    return stage.stage.encode(None, batch)
  z = latent_channels.moments(stage.stage, stage.read, weights, batch)
  if stage.net.gaussian:
    z, _ = autoencoder.posterior(z)
  z = latent_channels.normalised(weights, z, stage.shift)
  return stage.factor_of(weights, z) * z


def encoded(
  stage: stages.FirstStage,
  weights: method.Weights,
  images: jax.Array,
  noise: jax.Array | None = None,
) -> jax.Array:
  """[b, h, w, c] scaled latents of images, with their gradient.

  Args:
    stage: with its weights among the consts, if it has any.
    weights: of a method that was trained: of its scale, if that is measured.
    images: [b, H, W, C], normalised.
    noise: of the posterior [b, h, w, c]; None: none, its mean.
  """
  if not stage.net:
    return patch.fold(images, stage.factor)
  z, _ = stage.net.encode(weights.consts["first_stage"], images)
  if stage.net.gaussian and noise is None:
    z, _ = autoencoder.posterior(z)
  elif stage.net.gaussian:
    z = autoencoder.drawn(z, noise)
  z = latent_channels.normalised(weights, z, stage.shift)
  return stage.factor_of(weights) * z


def consts(stage: stages.FirstStage) -> dict[str, method.Const]:
  """Those of the stage, whose own factor is not compared with the scale."""
  return {
    name: dataclasses.replace(const, agrees={})
    for name, const in stage.consts().items()
  }
