"""Depth images of clouds without learned parts, and maps read at points.

Three views of a cloud, each of two axes in the image plane and one of depth
(I2P-MAE, CVPR 2023, section 3.2, and its released code):

    e  = max range of the two axes / (s - 3)         s: side of the image
    q  = floor((p - min p) / e) + 1 + shift          the place of a point
    image = sigmoid(sum of the depths painted on a pixel)

Each point paints the 5 x 5 pixels around its place; `shift` puts the middle of
what is painted into the middle of the image. Moving and scaling a cloud moves
no place.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn import resize

# (row axis, column axis, depth axis) of each view.
VIEWS = ((0, 1, 2), (2, 0, 1), (1, 2, 0))
_REACH = 2  # pixels painted on each side of a place


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frame:
  """Where the pixels of an image are among the coordinates of a view.

  Attributes:
    low: [b, v, 1, 2] least coordinates of the cloud in the image plane.
    pixel: [b, v, 1, 1] length of a pixel.
    shift: int32 [b, v, 1, 2] pixels that the cloud is moved by.
    side: s, of the image [pixels].
  """

  low: jax.Array
  pixel: jax.Array
  shift: jax.Array
  side: int


jax.tree_util.register_dataclass(
  Frame, data_fields=["low", "pixel", "shift"], meta_fields=["side"]
)


def views(points: jax.Array) -> jax.Array:
  """[b, n, 3] -> [b, 3, n, 3]: (row, column, depth) in each view."""
  return jnp.stack([points[..., axes] for axes in np.asarray(VIEWS)], axis=1)


def frame(seen: jax.Array, side: int) -> Frame:
  """The frame of whole clouds.

  Args:
    seen: [b, v, n, 3], see `views`.
    side: of the image [pixels], even, more than 3.
  """
  plane = jax.lax.stop_gradient(seen[..., :2])
  low, high = (f(plane, axis=2, keepdims=True) for f in (jnp.min, jnp.max))
  span = (high - low).max(-1, keepdims=True)
  # Points that all lie on one line of sight share a pixel.
  steps = jnp.where(span > 0, side - 3.0, 1.0)
  pixel = _divided(jnp.where(span > 0, span, 1.0), steps)
  places = jnp.floor(_divided(plane - low, pixel)).astype(jnp.int32) + 1
  # The middle of what is painted; the reach is the same on both sides.
  most, least = places.max(2, keepdims=True), places.min(2, keepdims=True)
  middle = (most + least) // 2
  shift = side // 2 - middle - 1
  return Frame(low=low, pixel=pixel, shift=shift, side=side)


def places(frame: Frame, seen: jax.Array) -> jax.Array:
  """int32 [b, v, m, 2] (row, column) of points [b, v, m, 3] of the cloud."""
  steps = jnp.floor(_divided(seen[..., :2] - frame.low, frame.pixel))
  return steps.astype(jnp.int32) + 1 + frame.shift


def _divided(x: jax.Array, by: jax.Array) -> jax.Array:
  """x / by, rounded once.

  XLA multiplies by the inverse of what is constant or the same for many: the
  farthest point would then be at floor(52.999996) where a division gives 53.
  """
  return x / jax.lax.optimization_barrier(jnp.broadcast_to(by, x.shape))


def depth(points: jax.Array, side: int) -> jax.Array:
  """Depth images in three views.

  Args:
    points: [b, n, 3].
    side: of the images [pixels], even: the 5 x 5 pixels of a point at the
      end of an odd one reach over the edge.

  Returns:
    [b, 3, side, side] float32 in (0, 1); 0.5 where there is nothing.
  """
  seen = views(points.astype(jnp.float32))
  at = places(frame(seen, side), seen)
  steps = jnp.arange(-_REACH, _REACH + 1)
  around = jnp.stack(jnp.meshgrid(steps, steps, indexing="ij"), -1)
  painted = at[..., None, :] + around.reshape(-1, 2)  # [b, 3, n, 25, 2]
  painted = jnp.where(painted < 0, painted + 1, painted)
  painted = jnp.where(painted > side - 1, painted - 1, painted)
  values = jnp.broadcast_to(seen[..., 2:], painted.shape[:-1])
  return jax.nn.sigmoid(_sums(painted, values, side))


def _sums(painted: jax.Array, values: jax.Array, side: int) -> jax.Array:
  """[b, v, side, side] sums of values [b, v, n, p] at [b, v, n, p, 2]."""
  flat = painted[..., 0] * side + painted[..., 1]

  def one(where, what):
    zeros = jnp.zeros(side * side, jnp.float32)
    return zeros.at[where.reshape(-1)].add(what.reshape(-1), mode="drop")

  made = jax.vmap(jax.vmap(one))(flat, values)
  return made.reshape(*made.shape[:2], side, side)


def images(depths: jax.Array, mean: jax.Array, std: jax.Array) -> jax.Array:
  """[b, v, s, s] depths -> [b, v, s, s, 3], normalised per channel."""
  return (depths[..., None] - jnp.asarray(mean)) / jnp.asarray(std)


def read(frame: Frame, maps: jax.Array, seen: jax.Array) -> jax.Array:
  """What maps hold at points: those of the image's side, made by bicubic.

  The maps are not made larger: a row of the two matrices that would is
  computed for each point.

  Args:
    frame: of the clouds that the maps were made of.
    maps: [b, v, h, w, c], one per view.
    seen: [b, v, m, 3] points, see `views`.

  Returns:
    [b, v, m, c] float32.
  """
  at = jnp.clip(places(frame, seen), 0, frame.side - 1)
  h, w = maps.shape[2:4]
  rows, columns = (
    jnp.asarray(resize.bicubic_matrix(n, frame.side), jnp.float32)[at[..., i]]
    for i, n in enumerate((h, w))
  )
  weights = rows[..., :, None] * columns[..., None, :]  # [b, v, m, h, w]
  return jnp.einsum(
    "bvmhw,bvhwc->bvmc",
    weights,
    maps.astype(jnp.float32),
    precision="highest",
  )
