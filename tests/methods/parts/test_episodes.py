import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.methods.parts import episodes

PART = episodes.Episodes(scenes=4, shots=3, test_shots=1)


def batch(labels):
  b = len(labels)
  scenes = np.arange(b * 4, dtype=np.float32).reshape(b, 4, 1, 1, 1)
  return {
    "scenes": jnp.broadcast_to(scenes, (b, 4, 2, 2, 3)),
    "masks": jnp.arange(b * 16).reshape(b, 4, 2, 2) % 3 % 2,
    "label": jnp.array(labels),
  }


def test_masks_become_images_of_minus_one_and_one():
  given = batch([0, 1])
  scenes, masks = PART.training(given)
  assert scenes.shape == masks.shape == (2, 4, 2, 2, 3)
  expected = np.where(given["masks"], 1.0, -1.0)
  for channel in range(3):
    np.testing.assert_array_equal(masks[..., channel], expected)
  scenes, _ = PART.testing(given)
  np.testing.assert_array_equal(scenes[:, :, 0, 0, 0], [[0, 1], [4, 5]])
  whole, _ = PART.testing(given, "all")
  np.testing.assert_array_equal(whole, given["scenes"])


def test_a_label_is_stored_per_episode_or_per_scene():
  per_scene = field.replace(PART, labels="scene")
  assert PART.inputs(2)["label"].shape == ()
  assert per_scene.inputs(2)["label"].shape == (4,)
  given = batch([3, 5]) | {"label": jnp.array([[3] * 4, [5] * 4])}
  np.testing.assert_array_equal(per_scene.label(given), [3, 5])
  found, want = per_scene.exchanged(given), PART.exchanged(batch([3, 5]))
  np.testing.assert_array_equal(found["scenes"], want["scenes"])


def test_a_drawn_number_of_supports_is_shown():
  draws = {
    "shots": jnp.array([1, 2, 3]),
    "order": jnp.array([[0.9, 0.1, 0.5]] * 3),
  }
  np.testing.assert_array_equal(
    PART.shown(draws), [[0, 1, 0], [0, 1, 1], [1, 1, 1]]
  )


def test_every_number_and_every_support_is_drawn():
  keys = lambda name: jax.random.key(len(name))
  draws = PART.draw(keys, (600, 1))
  assert set(np.asarray(draws["shots"]).tolist()) == {1, 2, 3}
  share = np.asarray(PART.shown(draws)).mean(0)
  np.testing.assert_allclose(share, 2 / 3, atol=0.07)


def test_supports_are_exchanged_for_those_of_the_next_of_another_class():
  given = batch([3, 3, 5, 3])
  changed = PART.exchanged(given)
  scenes = np.asarray(changed["scenes"])[:, :, 0, 0, 0]
  np.testing.assert_array_equal(scenes[:, 0], [0, 4, 8, 12])
  np.testing.assert_array_equal(scenes[:, 1] // 4, [2, 2, 3, 2])
  masks = given["masks"][np.array([2, 2, 3, 2]), 1:]
  np.testing.assert_array_equal(changed["masks"][:, 1:], masks)
  same = PART.exchanged(batch([3, 3]))
  np.testing.assert_array_equal(same["scenes"], batch([3, 3])["scenes"])


@pytest.mark.parametrize("name", ["shots", "test_shots"])
def test_more_supports_than_scenes_are_refused(name):
  with pytest.raises(ValueError, match=rf"episode\.{name}=4"):
    field.replace(PART, **{name: 4}).inputs(8)


def test_a_pixel_is_of_the_class_above_a_share_of_the_brightest():
  image = np.full((1, 2, 2, 3), -1.0, np.float32)
  image[0, 0, 0], image[0, 0, 1] = 3.0, -0.45  # 255, floor(70.1)
  image[0, 1, 0] = -0.55  # floor(57.4)
  found = PART.binary(jnp.asarray(image))[0]
  np.testing.assert_array_equal(found, [[True, True], [False, False]])
  half = field.replace(PART, threshold=0.5).binary(jnp.asarray(image))
  np.testing.assert_array_equal(half[0], [[True, False], [False, False]])
  dim = jnp.asarray(np.where(image > -1, -0.9, -1.0))
  np.testing.assert_array_equal(PART.binary(dim)[0], image[0, ..., 0] > -1)
