"""A part of an image is kept while a sampler makes the rest.

After each step what is kept is put back, noised to the level that the step led
to (as in RePaint, Lugmayr et al. 2022, without its repetitions; of latents,
Blended Latent Diffusion, Avrahami et al. 2023). The noise is the same at all
levels: what is kept then walks a path of DDIM.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jmim.diffusion import sampler as samplers
from jmim.diffusion import targets


def outside(shape: tuple[int, ...], share: float) -> np.ndarray:
  """[h, w, 1] bool: all but a rectangle in the centre.

  Args:
    shape: [h, w, ...] of what is diffused.
    share: of a side, that the rectangle takes, in 0 .. 1; a row belongs to it
      if its middle does.

  Raises:
    ValueError: the rectangle, or what is left, would hold nothing.
  """
  inside = [np.abs(np.arange(n) + 0.5 - n / 2) < share * n / 2 for n in shape]
  keep = ~(inside[0][:, None] & inside[1][None, :])
  if keep.all() or not keep.any():
    h, w = shape[:2]
    raise ValueError(
      f"hole={share:g} of a side of {h} x {w} takes "
      + ("nothing" if keep.all() else "everything")
    )
  return keep[..., None]


def keeping(
  keep: np.ndarray, z: jax.Array, noise: jax.Array
) -> samplers.Callback:
  """A callback of `sampler.sample` that puts back what is kept.

  Args:
    keep: [h, w, 1] bool.
    z: data [b, h, w, c].
    noise: standard normal, of the same shape.
  """

  def call(level, x, out):
    del out
    known = targets.noised(z, noise, level.to_signal, level.to_noise)
    return jnp.where(keep, known, x), None

  return call
