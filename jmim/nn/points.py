"""Clouds of points: far ones, near ones, groups of them, distances.

Letters: b batch, n points, m queries, k neighbours, g groups, c channels.
Indices carry no gradient; distances are float32.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

# What pointnet2_ops' kernel leaves out: squared distance from the origin.
NEAR_ORIGIN = 1e-3


def squared_distances(a: jax.Array, b: jax.Array) -> jax.Array:
  """[..., m, n] float32 of every pair of a [..., m, 3] and b [..., n, 3].

  As sums of squared differences: a point is at distance 0 of itself, which
  |a|^2 + |b|^2 - 2 ab is not.
  """
  a, b = a.astype(jnp.float32), b.astype(jnp.float32)
  axis = lambda i: jnp.square(a[..., :, None, i] - b[..., None, :, i])
  return axis(0) + axis(1) + axis(2)


def farthest(
  points: jax.Array, count: int, least: float = NEAR_ORIGIN
) -> jax.Array:
  """Farthest point sampling, from point 0 on.

  Each next point is the farthest from those chosen, of equally far ones the
  first. As in the kernel that the field uses (pointnet2_ops), points at a
  squared distance of at most `least` from the origin are never chosen, but for
  point 0; where there are no others left it is chosen again.

  Args:
    points: [b, n, 3].
    count: m, points chosen.
    least: squared distance from the origin; below 0: every point counts.

  Returns:
    int32 [b, m].
  """
  points = jax.lax.stop_gradient(points).astype(jnp.float32)
  skipped = jnp.sum(points**2, -1) <= least  # [b, n]

  def choose(i, carry):
    chosen, distance, last = carry
    at = jnp.take_along_axis(points, last[:, None, None], axis=1)
    distance = jnp.minimum(distance, jnp.sum((points - at) ** 2, -1))
    last = jnp.where(skipped, -1.0, distance).argmax(-1).astype(jnp.int32)
    return chosen.at[:, i].set(last), distance, last

  b, n, _ = points.shape
  first = jnp.zeros((b,), jnp.int32)
  start = (
    jnp.zeros((b, count), jnp.int32),
    jnp.full((b, n), jnp.inf, jnp.float32),
    first,
  )
  return jax.lax.fori_loop(1, count, choose, start)[0]


def neighbours(
  queries: jax.Array, points: jax.Array, count: int
) -> tuple[jax.Array, jax.Array]:
  """The nearest points of each query, the nearest first; ties: first index.

  Args:
    queries: [b, m, 3].
    points: [b, n, 3].
    count: k, at most n.

  Returns:
    int32 [b, m, k] indices, float32 [b, m, k] squared distances.
  """
  distances = squared_distances(*map(jax.lax.stop_gradient, (queries, points)))
  negative, index = jax.lax.top_k(-distances, count)
  return index.astype(jnp.int32), -negative


def gather(x: jax.Array, index: jax.Array) -> jax.Array:
  """Rows of x [b, n, c] at index [b, ...] -> [b, ..., c]."""
  return jax.vmap(lambda rows, at: rows[at])(x, index)


def most(x: jax.Array) -> jax.Array:
  """Maximum over members, whose gradient goes to the first that has it.

  The gradient of `jnp.max` asks which members equal the maximum, and is NaN
  where none does: x may be computed again in the backward pass, and rounded
  otherwise. Here the place is found once.

  Args:
    x: [..., k, c].

  Returns:
    [..., c].
  """
  place = jax.lax.stop_gradient(x).argmax(-2)[..., None, :]
  found = place == jnp.arange(x.shape[-2])[:, None]
  return jnp.where(found, x, 0).sum(-2, dtype=x.dtype)


class Level(NamedTuple):
  """Groups of the points (or of the centres) of the level below.

  Attributes:
    below: [b, n, 3] coordinates of what is grouped.
    centres: [b, g, 3], some of them.
    near: int32 [b, g, k] indices into `below` of each group's members.
  """

  below: jax.Array
  centres: jax.Array
  near: jax.Array

  @property
  def members(self) -> jax.Array:
    """[b, g, k, 3] coordinates."""
    return gather(self.below, self.near)

  @property
  def relative(self) -> jax.Array:
    """[b, g, k, 3] coordinates from the centre of the group."""
    return self.members - self.centres[:, :, None]


def divide(
  points: jax.Array, groups: Sequence[int], sizes: Sequence[int]
) -> list[Level]:
  """Levels of groups: farthest points, and their nearest in the level below.

  Args:
    points: [b, n, 3].
    groups: groups of each level, from the points upwards.
    sizes: members of a group on each level, its centre included.
  """
  levels, below = [], points
  for count, size in zip(groups, sizes, strict=True):
    centres = gather(below, farthest(below, count))
    near, _ = neighbours(centres, below, size)
    levels.append(Level(below, centres, near))
    below = centres
  return levels


def seen_below(
  near: jax.Array, visible: jax.Array, count: int, leak: bool = False
) -> jax.Array:
  """Which of the level below are members of a visible group.

  Args:
    near: int32 [b, g, k].
    visible: bool [b, g].
    count: n, of the level below.
    leak: as released code has it (I2P-MAE, Point-M2AE): if any group of the
      batch is hidden, the first of the first example is visible too.

  Returns:
    bool [b, n].
  """
  hits = jnp.broadcast_to(visible[..., None], near.shape)

  def one(members, hit):
    none = jnp.zeros(count, bool)
    return none.at[members.reshape(-1)].max(hit.reshape(-1))

  seen = jax.vmap(one)(near, hits)
  if leak:
    seen = seen.at[0, 0].max((~visible).any())
  return seen


def chamfer(a: jax.Array, b: jax.Array) -> jax.Array:
  """mean_a min_b |a - b|^2 + mean_b min_a |a - b|^2.

  Args:
    a: [..., n, 3].
    b: [..., m, 3].

  Returns:
    [...] float32.
  """
  distances = squared_distances(a, b)
  return distances.min(-1).mean(-1) + distances.min(-2).mean(-1)


def spread(
  x: jax.Array, places: jax.Array, queries: jax.Array, count: int = 3
) -> jax.Array:
  """Features between places: means of the nearest, by 1 / (d^2 + 1e-8).

  Args:
    x: [b, n, c] features at `places`.
    places: [b, n, 3].
    queries: [b, m, 3].
    count: nearest places that a mean is made of (PointNet++: 3).

  Returns:
    [b, m, c].
  """
  index, distances = neighbours(queries, places, count)
  weights = 1.0 / (distances + 1e-8)
  weights = weights / weights.sum(-1, keepdims=True)
  return jnp.einsum("bmk,bmkc->bmc", weights.astype(x.dtype), gather(x, index))
