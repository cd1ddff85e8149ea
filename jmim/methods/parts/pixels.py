"""Pixels of patches and tubelets as the target of masked autoencoders.

He et al. 2022 (images), Tong et al. 2022 (video).

Letters: b batch, n patches, d = p*p*c pixels of one.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jmim.nn import patch as patching

EPS = 1e-6


def statistics(patches: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Mean and standard deviation of each patch, with the unbiased variance.

  Args:
    patches: [b, n, d] float32.

  Returns:
    mean and sqrt(var + 1e-6), [b, n, 1].
  """
  mean = patches.mean(-1, keepdims=True)
  var = patches.var(-1, keepdims=True, ddof=1)
  return mean, jnp.sqrt(var + EPS)


def target(images: jax.Array, patch: int, normalise: bool) -> jax.Array:
  """[b, h, w, c] images -> [b, n, d] float32, what is predicted.

  Args:
    images: of any dtype.
    patch: side of a patch [pixels].
    normalise: (t - mean) / std of each patch; else the pixels as they are.
  """
  t = patching.patchify(images.astype(jnp.float32), patch)
  if not normalise:
    return t
  mean, std = statistics(t)
  return (t - mean) / std


def tubelet_target(
  x: jax.Array,
  mean: Sequence[float],
  std: Sequence[float],
  normalise: bool,
) -> jax.Array:
  """What VideoMAE predicts of tubelets.

  Args:
    x: [b, m, f*p*p*c] float32, normalised pixels, the channel fastest.
    mean: of the normalisation, per channel.
    std: of the normalisation, per channel.
    normalise: (t - mean) / (std + 1e-6) of each tubelet AND channel, with the
      unbiased variance; else pixels in [0, 1].

  Returns:
    [b, m, f*p*p*c].
  """
  t = x.reshape(*x.shape[:2], -1, len(mean))
  t = t * jnp.asarray(std) + jnp.asarray(mean)
  if normalise:
    tubelet_std = jnp.sqrt(t.var(2, ddof=1, keepdims=True))
    t = (t - t.mean(2, keepdims=True)) / (tubelet_std + EPS)
  return t.reshape(x.shape)


def picture(
  pred: jax.Array,
  mask: jax.Array,
  *,
  images: jax.Array,
  patch: int,
  normalise: bool,
) -> dict[str, jax.Array]:
  """A prediction as an image, for the evaluators that draw it.

  A normalised prediction is scaled back with the true mean and standard
  deviation of each patch, as the authors draw it.

  Args:
    pred: [b, n, d] prediction of `target`.
    mask: [b, n], 1 = hidden.
    images: [b, h, w, c] of the target.
    patch: side of a patch [pixels].
    normalise: as of `target`.

  Returns:
    image [b, h, w, c] in the units of the images, mask [b, h, w, 1].
  """
  if normalise:
    mean, std = statistics(patching.patchify(images.astype(jnp.float32), patch))
    pred = pred * std + mean
  grid = images.shape[1] // patch, images.shape[2] // patch
  mask = jnp.broadcast_to(mask[..., None], pred.shape)
  return {
    "image": patching.unpatchify(pred, patch, grid),
    "mask": patching.unpatchify(mask, patch, grid)[..., :1],
  }
