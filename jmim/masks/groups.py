"""Groups of consecutive images that give their patches to one mixed image.

Letters: b images, of which G make a group; g groups, n positions. Where G does
not divide b, the last group is filled from the front of the batch.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jmim.masks import tokens as masking


def assignment(scores: jax.Array, group: int) -> jax.Array:
  """[b, n] scores -> [b, n] int32 in 0 .. G-1, each as often up to one."""
  n = scores.shape[1]
  rank = jnp.argsort(jnp.argsort(scores, axis=1), axis=1)
  return (rank * group // n).astype(jnp.int32)


def split(assign: jax.Array, group: int) -> masking.Mask:
  """Of each image the positions that are its own, in raster order.

  Args:
    assign: [b, n], the source of each position; the first row of a group
      holds for all of it.
    group: images of one, G.

  Returns:
    `mask` [b, n] is 0 on its own positions; `keep` has ceil(n / G), of which
    the last is not an own one where an image has one less.
  """
  b, n = assign.shape
  source = jnp.arange(b, dtype=assign.dtype)[:, None] % group
  hidden = jnp.repeat(assign[::group], group, axis=0)[:b] != source
  return masking.from_booleans(hidden, -(-n // group))._replace(
    mask=hidden.astype(jnp.float32)
  )


def valid(mask: masking.Mask, group: int) -> jax.Array | None:
  """[b, k] which of `keep` of a `split` are own ones; None: all are."""
  if mask.mask.shape[1] % group == 0:
    return None
  return jnp.take_along_axis(mask.mask, mask.keep, axis=1) == 0


def gather(x: jax.Array, group: int) -> jax.Array:
  """[b, ...] -> [g, G, ...]."""
  b = len(x)
  g = -(-b // group)
  if b % group:
    x = x[np.arange(g * group) % b]
  return x.reshape(g, group, *x.shape[1:])


def mix(images: jax.Array, assign: jax.Array, patch: int) -> jax.Array:
  """[g, G, h, w, c] -> [g, h, w, c], each patch from the image assigned to it.

  Args:
    images: grouped, see `gather`.
    assign: [g, n] in 0 .. G-1, raster order.
    patch: side [pixels].
  """
  _, group, h, w, _ = images.shape
  source = assign.reshape(len(assign), h // patch, w // patch)
  source = jnp.repeat(jnp.repeat(source, patch, 1), patch, 2)[..., None]
  mixed = images[:, 0]
  for i in range(1, group):
    mixed = jnp.where(source == i, images[:, i], mixed)
  return mixed


def scatter(x: jax.Array, group: int, mask: masking.Mask) -> jax.Array:
  """Hands the tokens of mixed images back to their sources.

  Args:
    x: [g, 1 + n, d], the first token for all of a group.
    group: images of one, G.
    mask: of b images, see `split`.

  Returns:
    [b, 1 + k, d]: the first token and those of `mask.keep`.
  """
  b = len(mask.keep)
  x = jnp.repeat(x, group, axis=0)[:b]
  kept = masking.take(x[:, 1:], mask.keep)
  return jnp.concatenate([x[:, :1], kept], axis=1)


def share(values: jax.Array, own: jax.Array, group: int) -> jax.Array:
  """[b] mean of [g, n] values of mixed images over each image's positions.

  Args:
    values: of the positions of mixed images.
    own: [b, n], 1 where a position is the image's.
    group: images of one, G.
  """
  values = jnp.repeat(values, group, axis=0)[: len(own)]
  return (values * own).sum(-1) / own.sum(-1)
