"""A run of a diffusion method as a `diffusion.model.Diffuser`.

Made of the parts that such methods have: `shape`, a process `noise`, a
`first_stage`, and the function `network`.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax

from jmim.core import method
from jmim.diffusion import model
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import latent_mode
from jmim.nn import patch

PICTURES = ("image", "moments")


def of(
  owner: Any,
  weights: method.Weights,
  *,
  tell: Callable[[method.Batch], tuple[Any, Any]] | None = None,
  network: Callable[..., jax.Array] | None = None,
  **options: Any,
) -> model.Diffuser:
  """The functions of a method with its weights.

  Args:
    owner: the method.
    weights: of a run of it.
    tell: batch -> (what the network is told, the same of nothing); None:
      `owner.guiding`.
    network: (x, times, told) -> raw; None: `owner.network` of the parameters.
    **options: of `owner.noise.output`.
  """
  noise, stage = owner.noise, owner.first_stage
  channels = owner.shape[-1]
  seen = owner.sample_reads()
  reads = {
    name: entry
    for name, entry in owner.inputs().items()
    if name not in PICTURES or name in seen
  }

  def output(raw, x, level, clip=0.0):
    return noise.output(raw, x, level, channels=channels, clip=clip, **options)

  made = model.Diffuser(
    shape=owner.shape,
    image=_image(stage, owner.shape),
    schedule=getattr(noise, "process", None),  # straight paths have none
    spacing=getattr(noise, "spacing", ""),
    path=getattr(noise, "levels", None),
    network=network or functools.partial(owner.network, weights.params),
    output=output,
    tell=tell or functools.partial(owner.guiding, weights),
    reads=reads,
    random=bool(stage.net and stage.net.gaussian),
    encode=functools.partial(latent_mode.encoded, stage, weights),
    decode=functools.partial(stage.decode, weights),
    guides=_guides(owner),
  )
  return made if stage.decodes else _latents_only(made)


def _image(
  stage: stages.FirstStage, shape: tuple[int, int, int]
) -> tuple[int, int, int]:
  """[H, W, C] of the images of what is diffused."""
  if not stage.net:
    return patch.unfolded(shape, stage.factor)
  h, w, _ = shape
  return (h * stage.factor, w * stage.factor, stage.net.size.channels)


def _guides(owner: Any) -> bool:
  """Whether what the network predicts of nothing told was trained."""
  labels = getattr(owner, "labels", None)
  return labels is None or labels.drop > 0


def _latents_only(made: model.Diffuser) -> model.Diffuser:
  """The same without a way between images and latents."""

  def missing(*arguments: jax.Array) -> jax.Array:
    del arguments
    raise ValueError(
      "latents without method.first_stage.path: this model can neither encode "
      "images nor decode them"
    )

  return dataclasses.replace(made, encode=missing, decode=missing, can=())
