"""Cameras and their rays.

A pose [3, 4] takes points from the camera to the world: (R | t), t where the
camera is. Its axes are right, down and forward (OpenCV, COLMAP). The focal
length is in heights of the image, whose middle is the principal point; pixel
(row, column) has its centre at + 0.5.
"""

import jax
import jax.numpy as jnp

Array = jax.Array


def relative(poses: Array) -> Array:
  """Poses [..., m, 3, 4] in the frame of the first.

  That camera stands at (0, 0, -distance) and looks along z, where distance is
  that from the origin in the frame given.
  """
  turn, place = poses[..., :3], poses[..., 3]
  back = jnp.swapaxes(turn[..., :1, :, :], -1, -2)
  precise = {"precision": "highest"}
  turned = jnp.matmul(back, turn, **precise)
  moved = place - place[..., :1, :]
  moved = jnp.matmul(back, moved[..., None], **precise)[..., 0]
  away = jnp.zeros_like(moved).at[..., 2].set(distance(poses)[..., None])
  return jnp.concatenate([turned, (moved - away)[..., None]], axis=-1)


def distance(poses: Array) -> Array:
  """[...] of the first of [..., m, 3, 4] from the origin."""
  return jnp.linalg.norm(poses[..., 0, :, 3], axis=-1)


def rays(
  poses: Array, focal: Array, index: Array, sides: tuple[int, int]
) -> tuple[Array, Array]:
  """Origins and directions [b, r, 3] of pixels; not of unit length.

  Args:
    poses: [b, m, 3, 4].
    focal: [b, m].
    index: [b, r] int, of pixels: those of view 0 in raster order, of view 1, ..
    sides: (h, w) of every view.
  """
  h, w = sides
  view, pixel = index // (h * w), index % (h * w)
  take = lambda x: jax.vmap(lambda a, i: a[i])(x, view)
  pose, length = take(poses), take(focal)
  y, x = pixel // w + 0.5 - h / 2, pixel % w + 0.5 - w / 2
  flat = jnp.stack([x, y], -1) / (h * length)[..., None]
  ahead = jnp.concatenate([flat, jnp.ones_like(flat[..., :1])], axis=-1)
  turn = pose[..., :3]
  along = jnp.einsum("brij,brj->bri", turn, ahead, precision="highest")
  return pose[..., 3], along
