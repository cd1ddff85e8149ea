"""Latents at the mode of the posterior, for methods that diffuse nothing.

    z = scale mean(E(x))          a Gaussian posterior (KL)
    z = scale E(x)                before quantisation (VQ), or plain

of a `first_stage.FirstStage`; nothing is drawn. Without one the images are the
latents. LMD (Ma et al. 2024) does not scale: its factor is 1, whatever factor
the weights of the first stage came with.
"""

import dataclasses

import jax

from jmim.core import method
from jmim.methods.parts import first_stage as stages
from jmim.nn.nets import autoencoder


def latents(
  stage: stages.FirstStage, weights: method.Weights, batch: method.Batch
) -> jax.Array:
  """[b, h, w, c] scaled latents of stored moments or of images; no gradient."""
  if not stage.net:
    return batch["image"]
  z = stage.unscaled(weights, batch, {})
  if stage.net.gaussian:
    z, _ = autoencoder.posterior(z)
  return stage.factor_of(weights, z) * z


def consts(stage: stages.FirstStage) -> dict[str, method.Const]:
  """Those of the stage, whose own factor is not compared with the scale."""
  return {
    name: dataclasses.replace(const, agrees={})
    for name, const in stage.consts().items()
  }
