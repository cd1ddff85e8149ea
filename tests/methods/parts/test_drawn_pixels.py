import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import drawn_pixels
from jmim.nn import liif
from jmim.nn import resize

KEY = jax.random.key(0)


def test_truth_is_the_image_at_the_drawn_side_and_one_program_serves_all(
  normal,
):
  part = drawn_pixels.Pixels(count=6, sides=(5, 17))
  images, traced = jnp.asarray(normal(2, 9, 9, 3)), []

  @jax.jit
  def at(draws):
    traced.append(1)
    return part.at(images, draws)

  for side in (5, 9, 16):
    draws = part.draw(randomness.Keys(KEY), (2,)) | {"side": jnp.int32(side)}
    place, cell, truth = at(draws)
    np.testing.assert_allclose(cell, 2 / side, rtol=1e-6)
    index = np.floor(draws["pixel"] * side).astype(int)
    np.testing.assert_allclose(place, (2 * index + 1) / side - 1, atol=1e-6)
    whole = np.asarray(resize.images(images, (side, side)))
    expected = [w[i[:, 0], i[:, 1]] for w, i in zip(whole, index, strict=True)]
    np.testing.assert_allclose(truth, expected, atol=1e-4)
  assert len(traced) == 1


def test_sides_are_drawn_within_their_bounds_both_included():
  part = drawn_pixels.Pixels(count=1, sides=(4, 6))
  keys = jax.random.split(KEY, 60)
  drawn = jax.vmap(lambda k: part.draw(randomness.Keys(k), (1,))["side"])(keys)
  assert set(np.asarray(drawn).tolist()) == {4, 5, 6}


def test_without_sides_pixels_are_the_images_own(normal):
  images = normal(2, 5, 5, 3)
  place, cell, truth = drawn_pixels.Pixels().at(jnp.asarray(images), {})
  np.testing.assert_array_equal(truth, images.reshape(2, 25, 3))
  np.testing.assert_array_equal(place[1], liif.places((5, 5)))
  np.testing.assert_allclose(cell, 0.4)
  assert drawn_pixels.Pixels().draw(randomness.Keys(KEY), (2,)) == {}
  part = drawn_pixels.Pixels(count=7)
  draws = part.draw(randomness.Keys(KEY), (2,))
  index = np.floor(draws["pixel"] * 5).astype(int)
  expected = [x[i[:, 0], i[:, 1]] for x, i in zip(images, index, strict=True)]
  found = part.at(jnp.asarray(images), draws)[2]
  np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
  "fields, seen",
  [
    (dict(sides=(4, 8)), "are no fixed number"),
    (dict(count=3, sides=(8, 4)), "least and the greatest"),
    (dict(count=3, sides=(8,)), "least and the greatest"),
    (dict(count=3, sides=(0, 8)), "least and the greatest"),
  ],
)
def test_sides_that_no_grid_has_are_refused(fields, seen):
  with pytest.raises(ValueError, match=seen):
    drawn_pixels.Pixels(**fields).check()
