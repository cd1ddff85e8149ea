import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from jmim.nn import voxels

R = 5


def cloud(*shape, seed=0):
  rng = np.random.default_rng(seed)
  return rng.normal(size=(*shape, 3)).astype(np.float32)


def test_one_point_per_voxel_comes_back():
  rng = np.random.default_rng(0)
  places = np.array(list(itertools.product(range(R), repeat=3)), np.float32)
  coords = np.stack([rng.permutation(places)[:40] for _ in range(2)])
  features = cloud(2, 40)
  vox = voxels.average(jnp.asarray(features), jnp.asarray(coords), R)
  assert vox.count.sum() == 80 and vox.count.max() == 1
  back = voxels.read(vox.grid, vox.coords)
  np.testing.assert_allclose(back, features, atol=1e-6)


def test_a_voxel_is_the_mean_of_its_points_and_0_without_any():
  features, rng = cloud(2, 60, seed=1), np.random.default_rng(1)
  coords = rng.uniform(0, R - 1, (2, 60, 3)).astype(np.float32)
  coords[0, 0] = 1.5  # half to even: voxel 2
  coords[0, 1] = 2.5  # voxel 2 too
  vox = voxels.average(jnp.asarray(features), jnp.asarray(coords), R)
  near = np.rint(coords).astype(int)
  assert (near[0, :2] == 2).all()
  for b, x, y, z in itertools.product(range(2), *[range(R)] * 3):
    inside = features[b][(near[b] == (x, y, z)).all(-1)]
    assert vox.count[b, x, y, z] == len(inside)
    mean = inside.mean(0) if len(inside) else np.zeros(3)
    np.testing.assert_allclose(vox.grid[b, x, y, z], mean, atol=1e-6)


def test_reading_is_that_of_scipy():
  rng = np.random.default_rng(2)
  grid = rng.normal(size=(1, R, R, R, 2)).astype(np.float32)
  coords = rng.uniform(0, R - 1, (1, 50, 3)).astype(np.float32)
  coords[0, :3] = [[R - 1, R - 1, R - 1], [0, 0, 0], [R - 1, 1.25, 0]]
  found = voxels.read(jnp.asarray(grid), jnp.asarray(coords))
  for c in range(2):
    expected = scipy.ndimage.map_coordinates(
      grid[0, ..., c], coords[0].T, order=1
    )
    np.testing.assert_allclose(found[0, :, c], expected, atol=1e-5)


def test_weights_sum_to_1_and_corners_are_inside():
  coords = jnp.asarray(np.random.default_rng(3).uniform(0, R - 1, (2, 30, 3)))
  coords = coords.at[0, 0].set(R - 1.0)
  ids, weights = voxels.corners(coords, R)
  np.testing.assert_allclose(weights.sum(-1), 1.0, atol=1e-6)
  assert weights.min() >= 0 and ids.min() >= 0 and ids.max() < R**3


def test_a_cloud_fills_the_cube_whatever_its_place_and_scale():
  points = cloud(2, 40)
  coords = np.asarray(voxels.coordinates(jnp.asarray(points), 16))
  assert coords.min() >= 0 and coords.max() <= 15
  # The farthest point is on the ball of radius 8 around the middle.
  radius = np.linalg.norm(coords - 8, axis=-1).max(1)
  assert (radius > 7).all() and (radius < 8 + 1e-4).all()
  moved = jnp.asarray(3 * points + np.float32([5, -2, 1]))
  np.testing.assert_allclose(voxels.coordinates(moved, 16), coords, atol=1e-4)


def test_a_shift_leaves_what_is_occupied():
  # Multiples of 1/8, so that the shift is exact in float32.
  points = np.round(8 * cloud(2, 40, seed=4)) / 8
  moved = points + np.float32([2, -1, 4])
  count, other = (voxels.of(jnp.asarray(x), 8).count for x in (points, moved))
  np.testing.assert_array_equal(count, other)


def test_nothing_is_differentiated_through_coordinates():
  points, grid = jnp.asarray(cloud(1, 20)), jnp.asarray(cloud(1, R, R, R))
  place = lambda x: voxels.coordinates(x, R)
  assert not jax.grad(lambda x: place(x).sum())(points).any()
  by_place = jax.grad(lambda c: (voxels.read(grid, c) ** 2).sum())
  assert not by_place(place(points)).any()
  by_value = jax.grad(lambda g: (voxels.read(g, place(points)) ** 2).sum())
  assert by_value(grid).any()
  # Of the features: each has the share of its voxel's mean.
  share = jax.grad(lambda f: voxels.average(f, place(points), R).grid.sum())
  vox = voxels.of(points, R)
  count = vox.count.reshape(1, -1)[0][voxels.nearest(vox.coords, R)[0]]
  expected = np.repeat(1 / np.asarray(count)[:, None], 3, axis=1)
  np.testing.assert_allclose(share(points)[0], expected, atol=1e-6)


@pytest.mark.parametrize("side", [4, 7])
def test_a_cloud_that_is_one_point_is_the_middle(side):
  coords = voxels.coordinates(jnp.full((1, 6, 3), 2.5), side)
  np.testing.assert_array_equal(coords, side / 2)
