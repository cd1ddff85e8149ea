"""Points into voxels by their mean, and values of voxels back at points.

Liu et al. 2019 (PVCNN), as DiT-3D uses it: a cloud is centred and scaled to
fill the cube, each point goes to the nearest voxel, and what a network says of
the voxels is read between them, trilinearly. Nothing is differentiated through
the coordinates, only through what is averaged and what is read.

Letters: b batch, n points, r voxels of a side, c channels.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Voxels(NamedTuple):
  """A cloud as a grid.

  Attributes:
    grid: [b, r, r, r, c] mean of the points of a voxel, 0 where there is none.
    count: [b, r, r, r] int32, points of a voxel.
    coords: [b, n, 3] where the points are, in 0 .. r - 1; no gradient.
  """

  grid: jax.Array
  count: jax.Array
  coords: jax.Array


def coordinates(points: jax.Array, side: int) -> jax.Array:
  """[b, n, 3] points of any scale -> places in 0 .. side - 1, no gradient.

  (c / (2 max |c|) + 1/2) side with c = x - mean, clipped: neither a shift nor
  a common scale of a cloud changes it. A cloud that is one point is the middle.
  """
  x = jax.lax.stop_gradient(points).astype(jnp.float32)
  x = x - x.mean(1, keepdims=True)
  far = jnp.linalg.norm(x, axis=-1).max(1)[:, None, None]
  x = x / (jnp.where(far > 0, far, 1.0) * 2.0) + 0.5
  return jnp.clip(x * side, 0, side - 1)


def nearest(coords: jax.Array, side: int) -> jax.Array:
  """[b, n, 3] coordinates -> [b, n] flat voxels, x slowest; half to even."""
  x, y, z = jnp.moveaxis(jnp.round(coords).astype(jnp.int32), -1, 0)
  return (x * side + y) * side + z


def average(features: jax.Array, coords: jax.Array, side: int) -> Voxels:
  """Means of features in the voxels nearest to the coordinates.

  Args:
    features: [b, n, c].
    coords: [b, n, 3] in 0 .. side - 1.
    side: r.
  """
  flat = nearest(coords, side)

  def one(values, ids):
    grid = jnp.zeros((side**3, values.shape[-1]), values.dtype)
    count = jnp.zeros(side**3, jnp.int32).at[ids].add(1)
    grid = grid.at[ids].add(values)
    return grid / jnp.maximum(count, 1)[:, None].astype(values.dtype), count

  grid, count = jax.vmap(one)(features, flat)
  cube = (len(features), side, side, side)
  coords = jax.lax.stop_gradient(coords)
  return Voxels(grid.reshape(*cube, -1), count.reshape(cube), coords)


def of(points: jax.Array, side: int) -> Voxels:
  """Voxels of clouds [b, n, 3], whose features are the points themselves."""
  return average(points, coordinates(points, side), side)


def corners(coords: jax.Array, side: int) -> tuple[jax.Array, jax.Array]:
  """The eight voxels around each point, and their weights.

  Args:
    coords: [b, n, 3] in 0 .. side - 1.
    side: r.

  Returns:
    [b, n, 8] flat voxels and [b, n, 8] weights, which sum to 1.
  """
  low = jnp.floor(coords)
  part = coords - low
  low = low.astype(jnp.int32)
  high = jnp.minimum(low + 1, side - 1)
  ids, weights = [], []
  for upper in itertools.product((False, True), repeat=3):
    x, y, z = ((high if u else low)[..., a] for a, u in enumerate(upper))
    shares = [
      part[..., a] if u else 1 - part[..., a] for a, u in enumerate(upper)
    ]
    ids.append((x * side + y) * side + z)
    weights.append(shares[0] * shares[1] * shares[2])
  return jnp.stack(ids, -1), jnp.stack(weights, -1)


def read(grid: jax.Array, coords: jax.Array) -> jax.Array:
  """Trilinear values [b, n, c] of a grid [b, r, r, r, c] at coordinates.

  Args:
    grid: values at the voxels' centres, which are whole coordinates.
    coords: [b, n, 3] in 0 .. r - 1; no gradient.
  """
  side, flat = grid.shape[1], grid.reshape(len(grid), -1, grid.shape[-1])
  ids, weights = corners(jax.lax.stop_gradient(coords), side)
  seen = jax.vmap(lambda values, i: values[i])(flat, ids)  # [b, n, 8, c]
  return jnp.einsum("bnkc,bnk->bnc", seen, weights.astype(seen.dtype))
