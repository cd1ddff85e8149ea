"""Small changes of images: the parts that attacks on a model are made of.

    |x - x0| <= radius, and x an image                        `boxed`
    r  = e(a_t z + s_t n, t) - n                              `residual`
    dL/dz of L = mean r^2, through the network                `slope`
    J_E(x)' u of a direction u in what is diffused            `pulled`

Images are in -1 .. 1. Only `slope` differentiates a network that denoises, and
only `pulled` an encoder. Every image stands for itself: no sum over a batch
scales one by another.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmim.diffusion import model

Array = jax.Array
LOW, HIGH = -1.0, 1.0  # of pixels


def near(x: Array, centre: Array, radius: float) -> Array:
  """x moved into the box of a radius around a centre."""
  return jnp.minimum(jnp.maximum(x, centre - radius), centre + radius)


def boxed(x: Array, clean: Array, radius: float) -> Array:
  """`near` to clean images, then moved into the range of images."""
  return jnp.clip(near(x, clean, radius), LOW, HIGH)


def residual(
  source: model.Diffuser, z: Array, *, t: Array, noise: Array, told: Any = None
) -> Array:
  """[b, ...] what a model predicts of a noise, less that noise.

  Args:
    source: with discrete times.
    z: what is diffused.
    t: [b] times.
    noise: standard normal, of the shape of z.
    told: to the network.
  """
  return source.eps(source.noised(z, t, noise), t, told) - noise


def slope(
  source: model.Diffuser, z: Array, *, t: Array, noise: Array, told: Any = None
) -> Array:
  """[b, ...] gradient by z of each example's mean squared `residual`."""

  def total(z):
    error = residual(source, z, t=t, noise=noise, told=told) ** 2
    return error.mean(range(1, z.ndim)).sum()

  return jax.grad(total)(z)


def pulled(
  source: model.Diffuser,
  images: Array,
  push: Callable[[Array], Array],
  posterior: Array | None = None,
) -> Array:
  """The direction of images that moves what is diffused along `push`.

  Args:
    source: that can encode.
    images: [b, H, W, C].
    push: E(images) -> direction of the same shape, taken as it is: nothing is
      differentiated in it.
    posterior: noise of the encoder; None: its mean.
  """
  z, back = jax.vjp(lambda x: source.encode(x, posterior), images)
  return back(push(z))[0]


def checks(shape: tuple[int, ...], fields: int = 8) -> np.ndarray:
  """[H, W, C] a board of black and white fields, so many along a side."""
  h, w = shape[:2]
  y, x = np.indices((h, w))
  white = (y * fields // h + x * fields // w) % 2
  board = np.where(white, HIGH, LOW).astype(np.float32)
  return np.broadcast_to(board[..., None], shape)


def _over(x: Array, size: Array) -> Array:
  """x / size, 0 where there is none."""
  return jnp.where(size > 0, x / jnp.where(size > 0, size, 1.0), 0.0)


def relative(changed: Array, plain: Array) -> Array:
  """[b] length of a change over that of what is changed."""
  norm = lambda x: jnp.sqrt((x**2).sum(range(1, x.ndim)))
  return _over(norm(changed - plain), norm(plain))


def gains(
  source: model.Diffuser,
  changed: Array,
  plain: Array,
  *,
  t: Array,
  noise: Array,
  told: Any = None,
) -> dict[str, Array]:
  """How much a change of images grows in the two networks; 0 if unchanged.

  Args:
    source: the model.
    changed: images [b, H, W, C].
    plain: the same before the change.
    t: [b] times.
    noise: standard normal, of the shape of what is diffused.
    told: to the network that denoises.

  Returns:
    encoder_gain [b]: relative change of the latents over that of the images;
    denoiser_gain [b]: of the predicted noise over that of the latents, which
    are moved towards those of the changed images by as much of their length
    as the images were.
  """
  z, size = source.encode(plain), relative(changed, plain)
  step = source.encode(changed) - z
  found = _over(relative(z + step, z), size)
  share = _over(jnp.ones_like(found), found)
  there = z + share.reshape(-1, *[1] * (z.ndim - 1)) * step
  eps = lambda z: source.eps(source.noised(z, t, noise), t, told)
  moved = _over(relative(eps(there), eps(z)), relative(there, z))
  return {"encoder_gain": found, "denoiser_gain": moved}
