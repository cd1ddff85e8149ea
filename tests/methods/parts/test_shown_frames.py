"""Which pictures of a group are shown beside which."""

import jax.numpy as jnp
import numpy as np

from jmim.methods.parts import shown_frames

RNG = np.random.default_rng(0)
CLIP = jnp.asarray(RNG.normal(size=(2, 4, 3, 3, 2)), jnp.float32)
POINTS = jnp.asarray(RNG.normal(size=(2, 4, 68, 2)), jnp.float32)


def test_the_first_is_shown_with_those_that_follow():
  batch = {"image": CLIP, "landmarks": POINTS}
  x, beside, points = shown_frames.first(batch, 2)
  np.testing.assert_array_equal(x, CLIP[:, 0])
  np.testing.assert_array_equal(beside[..., :2], CLIP[:, 1])
  np.testing.assert_array_equal(beside[..., 2:], CLIP[:, 2])
  np.testing.assert_array_equal(points, POINTS[:, 0])


def test_every_picture_has_those_that_follow_in_a_ring():
  x, beside, points = shown_frames.every({"image": CLIP}, 2)
  assert points is None
  for i in range(4):
    np.testing.assert_array_equal(x[i], CLIP[:, i])
    np.testing.assert_array_equal(beside[i][..., :2], CLIP[:, (i + 1) % 4])
    np.testing.assert_array_equal(beside[i][..., 2:], CLIP[:, (i + 2) % 4])


def test_references_that_are_named_are_beside_all():
  at = jnp.array([[3, 1], [0, 0]])
  batch = {"image": CLIP, "landmarks": POINTS, "reference": at}
  _, beside, points = shown_frames.every(batch, 2)
  for i in range(4):
    np.testing.assert_array_equal(beside[i, 0, ..., :2], CLIP[0, 3])
    np.testing.assert_array_equal(beside[i, 0, ..., 2:], CLIP[0, 1])
    np.testing.assert_array_equal(beside[i, 1, ..., 2:], CLIP[1, 0])
    np.testing.assert_array_equal(points[i], POINTS[:, i])


def test_single_pictures_have_nothing_beside_them():
  alone = {"image": CLIP[:, 0]}
  assert shown_frames.first(alone, 0).beside.shape == (2, 3, 3, 0)
  x, beside, _ = shown_frames.every(alone, 0)
  np.testing.assert_array_equal(x[0], CLIP[:, 0])
  assert beside.shape == (1, 2, 3, 3, 0)
