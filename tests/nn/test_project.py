"""Depth images, and maps read at points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import project
from jmim.nn import resize


def cloud(b=2, n=50, seed=0):
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(b, n, 3)) * [1.0, 0.5, 0.25]
  return jnp.asarray(x.astype(np.float32))


def by_hand(points, view, side):
  """One depth image, point by point."""
  p = np.asarray(points)[:, project.VIEWS[view]].astype(np.float32)
  low, span = p[:, :2].min(0), np.ptp(p[:, :2], axis=0).max()
  q = np.floor((p[:, :2] - low) / (span / np.float32(side - 3))).astype(int)
  painted = [
    (q[i] + (r + 1, c + 1), p[i, 2])
    for i in range(len(p))
    for r in range(-2, 3)
    for c in range(-2, 3)
  ]
  places = np.array([at for at, _ in painted])
  centre = (places.max(0) + places.min(0)) // 2
  sums = np.zeros((side, side))
  for at, depth in painted:
    at = at + side // 2 - centre - 1
    at = at + (at < 0) - (at > side - 1)
    sums[tuple(at)] += depth
  return 1 / (1 + np.exp(-sums))


@pytest.mark.parametrize("side", [32, 56])
def test_depth_images_by_hand(side):
  x = cloud()
  seen = jax.jit(project.depth, static_argnums=1)(x, side)
  assert seen.shape == (2, 3, side, side)
  for b in range(2):
    for view in range(3):
      np.testing.assert_allclose(
        seen[b, view], by_hand(x[b], view, side), atol=1e-5
      )


def test_moving_and_scaling_a_cloud_moves_no_place():
  x = cloud()
  frames = [
    project.places(project.frame(v, 64), v)
    for v in (project.views(x), project.views(4 * x), project.views(x * 2 + 1))
  ]
  np.testing.assert_array_equal(frames[0], frames[1])
  assert np.abs(frames[0] - frames[2]).max() <= 1  # the sum is rounded
  assert (frames[0] != frames[2]).mean() < 0.02


def test_empty_pixels_are_half_and_what_is_painted_is_centred():
  seen = np.asarray(project.depth(cloud(), 64))
  for image in seen.reshape(-1, 64, 64):
    rows, columns = np.nonzero(image != 0.5)
    for at in (rows, columns):
      assert abs((at.max() + at.min()) / 2 - 31.5) <= 1.5
    assert (image == 0.5).mean() > 0.3


def test_points_that_are_one_point_have_an_image():
  x = jnp.ones((1, 4, 3))
  seen = np.asarray(project.depth(x, 16))
  assert np.isfinite(seen).all()
  assert ((seen != 0.5).sum((2, 3)) == 25).all()


def test_maps_are_read_where_points_are_painted():
  x = cloud()
  seen = project.views(x)
  frame = project.frame(seen, 32)
  maps = jnp.asarray(
    np.random.default_rng(1).normal(size=(2, 3, 4, 4, 5)), jnp.float32
  )
  found = np.asarray(project.read(frame, maps, seen[:, :, :7]))
  large = resize.images(maps.reshape(6, 4, 4, 5), (32, 32), "bicubic")
  large = np.asarray(large).reshape(2, 3, 32, 32, 5)
  at = np.asarray(project.places(frame, seen[:, :, :7]))
  for b in range(2):
    for v in range(3):
      wanted = large[b, v][at[b, v, :, 0], at[b, v, :, 1]]
      np.testing.assert_allclose(found[b, v], wanted, atol=1e-5)


def test_a_flat_map_is_read_as_it_is():
  seen = project.views(cloud())
  frame = project.frame(seen, 32)
  found = project.read(frame, jnp.full((2, 3, 4, 4, 1), 7.0), seen)
  np.testing.assert_allclose(found, 7.0, rtol=1e-5)


def test_images_are_normalised_per_channel():
  mean, std = (0.5, 0.25, 0.0), (1.0, 0.5, 0.25)
  made = project.images(jnp.full((1, 3, 2, 2), 0.5), mean, std)
  np.testing.assert_allclose(made[0, 0, 0, 0], (0.0, 0.5, 2.0))
