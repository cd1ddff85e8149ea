"""Images of sizes that are drawn, in arrays whose shapes are fixed.

A `Canvas` holds each image in its corner, at a size of its own. A resize is a
product with two matrices that are computed from the sizes, inside the program:
one program serves all sizes. Weights are those of torch's `interpolate` (see
`nn.resize`, where sizes are known), without a scale factor of its own: places
follow from the sizes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jmim.nn import resize

# "smooth" is bicubic with antialiasing.
KINDS = ("area", "bilinear", "bicubic", "smooth")


class Canvas(NamedTuple):
  """Images in a corner of arrays.

  Attributes:
    image: [b, H, W, c]; what is outside an image has no meaning.
    sides: [b, 2] int32 (rows, columns) of each image.
  """

  image: jax.Array
  sides: jax.Array


def whole(image: jax.Array) -> Canvas:
  """Images [b, h, w, c] that fill their arrays."""
  sides = jnp.broadcast_to(jnp.asarray(image.shape[1:3]), (len(image), 2))
  return Canvas(image, sides)


def weights(
  kind: str, old: jax.Array, new: jax.Array, shape: tuple[int, int]
) -> jax.Array:
  """[b, shape[0], shape[1]] weights of a resize of one axis.

  Args:
    kind: one of KINDS.
    old: [b] sides before [pixels], up to shape[1].
    new: [b] sides after [pixels], up to shape[0]; rows beyond are as the last.
    shape: (new, old) sides of the arrays.
  """
  old, new = old[:, None, None], new[:, None, None]
  o = jnp.minimum(jnp.arange(shape[0])[None, :, None], new - 1)
  i = jnp.arange(shape[1])[None, None, :]
  if kind == "area":
    # Whole pixels that the new one touches, as torch's adaptive mean.
    inside = (i >= o * old // new) & (i < -(-(o + 1) * old // new))
    return inside / inside.sum(-1, keepdims=True)
  factor = old / new
  centre = (o + 0.5) * factor - 0.5
  if kind == "bilinear":
    centre = jnp.clip(centre, 0, old - 1)
    return jnp.maximum(1 - abs(i - centre), 0.0)
  if kind == "smooth":
    far = abs(i - centre) / jnp.maximum(factor, 1.0)
    near = jnp.where(i < old, resize.cubic(far, -0.5, jnp), 0.0)
    return near / near.sum(-1, keepdims=True)
  assert kind == "bicubic", kind
  base = jnp.floor(centre)
  taps = (base + tap for tap in range(-1, 3))
  return sum(
    jnp.where(
      i == jnp.clip(at, 0, old - 1),
      resize.cubic(abs(centre - at), -0.75, jnp),
      0.0,
    )
    for at in taps
  )


def resized(
  canvas: Canvas,
  sides: jax.Array,
  kinds: tuple[str, ...],
  which: jax.Array,
  shape: tuple[int, int],
) -> Canvas:
  """Images of other sizes.

  Args:
    canvas: of images.
    sides: [b, 2] their new (rows, columns), at least 1.
    kinds: of KINDS.
    which: [b] ints: of kinds, for each image.
    shape: (height, width) of the new arrays; what is beyond an image repeats
      its border.
  """

  def matrix(axis):
    old, new = canvas.sides[:, axis], sides[:, axis]
    sizes = (shape[axis], canvas.image.shape[1 + axis])
    made = jnp.stack([weights(kind, old, new, sizes) for kind in kinds])
    return made[which, jnp.arange(len(which))]

  image = jnp.einsum(
    "byh,bxw,bhwc->byxc",
    matrix(0),
    matrix(1),
    canvas.image.astype(jnp.float32),
    precision="highest",
  )
  return Canvas(image, sides)


def beyond(canvas: Canvas, mirrored: bool) -> jax.Array:
  """[b, H, W, c] with what lies outside an image filled from it.

  Args:
    canvas: of images.
    mirrored: without repeating the border, as a blur needs it; False: the
      border is repeated, as JPEG files are filled up.
  """
  image = canvas.image
  for axis in (1, 2):
    last = canvas.sides[:, axis - 1, None] - 1
    place = jnp.arange(image.shape[axis])[None]
    if mirrored:  # again and again, where an image is smaller than what is left
      turned = place % jnp.maximum(2 * last, 1)
      index = jnp.where(turned <= last, turned, 2 * last - turned)
    else:
      index = jnp.minimum(place, last)
    wide = [len(image), 1, 1, 1]
    wide[axis] = image.shape[axis]
    image = jnp.take_along_axis(image, index.reshape(wide), axis=axis)
  return image
