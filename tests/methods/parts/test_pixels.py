import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import pixels
from jmim.nn import patch as patching


def by_hand(patch):
  """(t - mean) / sqrt(unbiased variance + 1e-6) of one patch, in float64."""
  t = np.asarray(patch, np.float64)
  var = ((t - t.mean()) ** 2).sum() / (t.size - 1)
  return (t - t.mean()) / np.sqrt(var + 1e-6)


def test_a_target_is_each_patch_normalised_on_its_own(normal):
  images = 3 + 2 * normal(2, 8, 12, 3)
  target = np.asarray(pixels.target(images, 4, normalise=True))
  patches = np.asarray(patching.patchify(images, 4))
  assert target.shape == (2, 6, 48)
  np.testing.assert_allclose(target[1, 4], by_hand(patches[1, 4]), atol=1e-5)
  # Brightness and contrast of a patch are gone.
  moved = np.asarray(pixels.target(5 * images - 1, 4, normalise=True))
  np.testing.assert_allclose(moved, target, atol=1e-5)


def test_raw_targets_are_the_pixels(normal):
  images = normal(2, 8, 8, 1).astype(jnp.bfloat16)
  target = pixels.target(images, 4, normalise=False)
  assert target.dtype == jnp.float32
  np.testing.assert_array_equal(patching.unpatchify(target, 4), images)


@pytest.mark.parametrize("normalise", [False, True])
def test_a_picture_of_the_target_is_the_image(normal, normalise):
  images = 3 + 2 * normal(2, 8, 12, 3)
  target = pixels.target(images, 4, normalise)
  mask = jnp.asarray([[0, 1, 0, 1, 1, 0]] * 2, jnp.float32)
  shown = pixels.picture(
    target, mask, images=images, patch=4, normalise=normalise
  )
  np.testing.assert_allclose(shown["image"], images, atol=1e-5)
  cells = np.kron([[0, 1, 0], [1, 1, 0]], np.ones((4, 4)))
  np.testing.assert_array_equal(shown["mask"][..., 0], [cells] * 2)


def test_tubelets_are_normalised_channel_by_channel(normal):
  mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
  x = normal(2, 5, 32 * 3)
  whole = np.asarray(pixels.tubelet_target(x, mean, std, normalise=True))
  t = whole.reshape(2, 5, 32, 3)
  np.testing.assert_allclose(t.mean(2), 0, atol=1e-5)
  np.testing.assert_allclose(t.std(2, ddof=1), 1, atol=1e-3)
  raw = np.asarray(pixels.tubelet_target(x, mean, std, normalise=False))
  np.testing.assert_allclose(
    raw.reshape(2, 5, 32, 3)[..., 1],
    x.reshape(2, 5, 32, 3)[..., 1] * 0.25 + 0.5,
    atol=1e-6,
  )


def test_the_constant_is_added_after_the_root():
  """A tubelet that is nearly flat shows on which side of it."""
  x = np.zeros((1, 1, 8, 1), np.float32)
  x[0, 0, 0, 0] = 1e-6
  target = pixels.tubelet_target(x.reshape(1, 1, 8), (0.0,), (1.0,), True)
  std = x.std(ddof=1)
  expected = (1e-6 - 1e-6 / 8) / (std + 1e-6)
  np.testing.assert_allclose(target[0, 0, 0], expected, rtol=1e-3)
