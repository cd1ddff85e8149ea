"""Moments of latents as a first stage gives them, and latents by channel.

    z = (z - mean_c) / std_c - shift

Yao et al. 2025 normalise so in place of one factor for all. The numbers are a
frozen array of a method, from a file of `jmim.tools.latent_statistics`; where a
method has none, there is the shift alone, and without that nothing is changed.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import method
from jmim.nn.nets import stages

NAME, KEY = "latent_statistics", "method.first_stage.statistics"


def moments(
  stage: stages.Stage, read: str, weights: method.Weights, batch: method.Batch
) -> jax.Array:
  """[b, h, w, k] float32, of clips [b, t, h, w, k]; no gradient.

  Args:
    stage: the first stage.
    read: "moments": as they are stored; "images": of images, or of clips.
    weights: with those of the first stage, where images are read.
    batch: has what is read.
  """
  if read == "moments":
    z = batch["moments"].astype(jnp.float32)
  else:
    z = stage.encode(weights.consts["first_stage"], batch)
  return jax.lax.stop_gradient(z)


def consts(path: str, net: stages.Net | None) -> dict[str, method.Const]:
  """mean and std of each channel of a net's code, by NAME; no path: none."""
  if not path or not net:
    return {}

  def neutral(key):
    del key
    c = (net.size.code,)
    return {"mean": jnp.zeros(c), "std": jnp.ones(c)}

  return {NAME: method.Const(path, neutral, key=KEY, images=False)}


def check(path: str, shift: float, stage: stages.Stage) -> None:
  """Raises ValueError for statistics, or a shift, without a first stage."""
  for name, value in (("statistics", path), ("shift", shift)):
    if value and not stage.net:
      raise ValueError(
        f"first_stage.{name}={value!r} with first_stage.variant "
        f"{stage.variant!r}: images are no latents"
      )


def agrees(first_stage: Any) -> dict[str, tuple[str, Any]]:
  """What a frozen model of the same latents agrees in, see `method.Const`.

  Args:
    first_stage: a `parts.first_stage.FirstStage`; of one without a net nothing
      is asked.
  """
  names = ("scale", "shift", "statistics") if first_stage.net else ()
  own = {f"first_stage.{name}": getattr(first_stage, name) for name in names}
  return {name: (f"method.{name}", value) for name, value in own.items()}


def normalised(
  weights: method.Weights, z: jax.Array, shift: float
) -> jax.Array:
  """Latents [b, ..., c] as they are encoded -> normalised, then shifted."""
  known = weights.consts.get(NAME)
  z = (z - known["mean"]) / known["std"] if known else z
  return z - shift if shift else z


def restored(weights: method.Weights, z: jax.Array, shift: float) -> jax.Array:
  """Normalised latents [b, ..., c] -> as they are decoded."""
  known = weights.consts.get(NAME)
  z = z + shift if shift else z
  return z * known["std"] + known["mean"] if known else z
