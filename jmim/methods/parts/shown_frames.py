"""Pictures of a group, and which others are shown beside each.

A batch holds groups of pictures, [b, m, h, w, c], or without references single
ones. In training the first of a group is noised and the next ones are shown
beside it. Elsewhere each may be, and `reference` [b, r] says which ones are
shown beside all of them; else those that follow it are, in a ring.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jmim.core import method

Array = jax.Array


class Shown(NamedTuple):
  """One picture of each example, and what goes with it.

  Attributes:
    x: [b, h, w, c].
    beside: [b, h, w, r c], its references.
    points: [b, 68, 2], its landmarks; None: they are not read.
  """

  x: Array
  beside: Array
  points: Array | None


def first(batch: method.Batch, references: int) -> Shown:
  """The first of each group, with those that follow it beside.

  Args:
    batch: image [b, m, h, w, c], or [b, h, w, c] without references.
    references: how many there are.
  """
  images, points = batch["image"], batch.get("landmarks")
  if not references:
    return Shown(x=images, beside=images[..., :0], points=points)
  others = [images[:, i] for i in range(1, 1 + references)]
  beside = jnp.concatenate(others, axis=-1)
  points = None if points is None else points[:, 0]
  return Shown(x=images[:, 0], beside=beside, points=points)


def every(batch: method.Batch, references: int) -> Shown:
  """Entries [m, b, ...]: every picture of the groups.

  Args:
    batch: image [b, m, h, w, c], or [b, h, w, c] without references; perhaps
      `reference` [b, r].
    references: how many are shown beside each, r.
  """
  images, points = batch["image"], batch.get("landmarks")
  if images.ndim == 4:
    images = images[:, None]
    points = None if points is None else points[:, None]
  r, m = references, images.shape[1]
  follow = (jnp.arange(m)[:, None] + 1 + jnp.arange(r)) % m
  at = batch.get("reference")
  at = follow[:, None] if at is None else at[None]
  rows = jnp.arange(len(images))[None, :, None]
  beside = images[rows, jnp.broadcast_to(at, (m, len(images), r))]
  beside = jnp.moveaxis(beside, 2, -2)  # [m, b, h, w, r, c]
  turn = lambda a: None if a is None else jnp.moveaxis(a, 1, 0)
  flat = beside.reshape(*beside.shape[:4], r * images.shape[-1])
  return Shown(x=turn(images), beside=flat, points=turn(points))
