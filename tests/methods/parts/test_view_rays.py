import jax
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import view_rays

SIDES, VIEWS, B = (3, 4), 4, 200
PIXELS = 12
BATCH = {"image": np.zeros((B, VIEWS, *SIDES, 3), np.float32)}


def drawn(part, seed=0):
  return part.draw(randomness.Keys(jax.random.key(seed)), BATCH)


def test_one_view_is_whole_and_the_rest_are_of_the_others():
  part = view_rays.ViewRays(budget=PIXELS + 30)
  draws = drawn(part)
  index = np.asarray(part.index(draws, SIDES))
  assert index.shape == (B, part.budget)
  view = np.asarray(draws["view"])
  assert set(view) == {1, 2, 3}  # never the input
  whole = view[:, None] * PIXELS + np.arange(PIXELS)
  np.testing.assert_array_equal(index[:, :PIXELS], whole)
  rest = index[:, PIXELS:]
  assert (rest // PIXELS != view[:, None]).all()
  assert 0 <= rest.min() and rest.max() < VIEWS * PIXELS
  # Every pixel of every other view is drawn about equally often.
  counts = np.bincount(rest.ravel(), minlength=VIEWS * PIXELS)
  assert counts.min() > 0
  per_view = counts.reshape(VIEWS, PIXELS).sum(1) / rest.size
  np.testing.assert_allclose(per_view, [1 / 3, *[2 / 9] * 3], atol=0.05)


def test_without_a_whole_view_rays_are_of_all_views():
  part = view_rays.ViewRays(budget=30, whole=False)
  draws = drawn(part)
  assert "view" not in draws
  index = np.asarray(part.index(draws, SIDES))
  assert set(np.unique(index)) == set(range(VIEWS * PIXELS))


def test_colours_are_those_of_the_pixels():
  part = view_rays.ViewRays()
  image = np.random.default_rng(0).random((2, VIEWS, *SIDES, 3), np.float32)
  batch = {"image": image}
  every = part.every(batch)
  np.testing.assert_array_equal(
    part.colours(batch, every), image.reshape(2, -1, 3)
  )
  index = np.array([[2 * PIXELS + 5], [PIXELS]])
  found = np.asarray(part.colours(batch, index))[:, 0]
  np.testing.assert_array_equal(found, [image[0, 2, 1, 1], image[1, 1, 0, 0]])


def test_the_input_s_numbers_are_its_distance_and_its_focal_length():
  pose = np.tile(np.eye(3, 4, dtype=np.float32), (1, 2, 1, 1))
  pose[0, :, :, 3] = [[0, 3, 4], [1, 0, 0]]
  focal = np.array([[1.5, 0.7]], np.float32)
  batch = {"view_pose": pose, "view_focal": focal}
  part = view_rays.ViewRays()
  camera, (origins, ways) = part.seen(batch, np.array([[0, 12]]), SIDES)
  np.testing.assert_allclose(camera, [[5, 1.5]], rtol=1e-6)
  np.testing.assert_allclose(origins[0], [[0, 0, -5], [1, -3, -9]], atol=1e-5)
  assert (np.asarray(ways)[..., 2] > 0).all()


def test_what_nothing_can_be_drawn_with_is_refused():
  part = view_rays.ViewRays(budget=PIXELS)
  with pytest.raises(ValueError, match="rays.budget=12"):
    part.inputs(VIEWS, SIDES)
  free = view_rays.ViewRays(budget=1, whole=False)
  with pytest.raises(ValueError, match="members 1"):
    free.inputs(1, SIDES)
  inputs = free.inputs(2, SIDES)
  assert inputs["image"].shape == (2, 3, 4, 3)
  assert inputs["image"].range == (0.0, 1.0)
