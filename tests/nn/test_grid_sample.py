import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import grid_sample

RNG = np.random.default_rng(0)


def at_place(image, x, y, aligned):
  """Value [c] of image [h, w, c] as torch's documentation has it."""
  h, w = image.shape[:2]
  if aligned:
    column, row = (x + 1) / 2 * (w - 1), (y + 1) / 2 * (h - 1)
  else:
    column, row = ((x + 1) * w - 1) / 2, ((y + 1) * h - 1) / 2
  left, top = int(np.floor(column)), int(np.floor(row))
  total = np.zeros(image.shape[2])
  for i, j in itertools.product((top, top + 1), (left, left + 1)):
    if 0 <= i < h and 0 <= j < w:
      total += (1 - abs(row - i)) * (1 - abs(column - j)) * image[i, j]
  return total


def reference(images, places, aligned):
  """[n, k, c] of images [n, h, w, c] at places [n, k, 2]."""
  each = zip(images, places, strict=True)
  return np.array(
    [[at_place(image, *xy, aligned) for xy in at] for image, at in each]
  )


@pytest.mark.parametrize("aligned", [True, False])
def test_values_and_gradients_are_those_of_the_formula(aligned):
  images = RNG.normal(size=(2, 4, 5, 3))
  places = RNG.uniform(-1.6, 1.6, (2, 50, 2))
  inside = (np.abs(places) < 1).all(-1)
  assert inside.any() and not inside.all()
  found = grid_sample.sample(images, places, aligned)
  np.testing.assert_allclose(
    found, reference(images, places, aligned), atol=1e-5
  )
  weight = RNG.normal(size=found.shape)
  loss = lambda *args: (grid_sample.sample(*args, aligned) * weight).sum()
  to_images, to_places = jax.grad(loss, argnums=(0, 1))(
    jnp.asarray(images), jnp.asarray(places)
  )
  # Values are linear in the images: the weighted sum is the product with them.
  np.testing.assert_allclose(
    (to_images * images).sum(), loss(images, places), rtol=1e-4
  )
  step = 1e-6
  for i in (0, 1):
    moved = [places + by * np.eye(2)[i] for by in (step, -step)]
    up, down = (reference(images, at, aligned) for at in moved)
    wanted = ((up - down) / (2 * step) * weight).sum(-1)
    np.testing.assert_allclose(to_places[..., i], wanted, atol=1e-3)


def test_leading_sides_and_grids_are_any():
  images = RNG.normal(size=(2, 3, 4, 5, 2))
  places = RNG.uniform(-1, 1, (2, 3, 6, 1, 2, 2))
  found = grid_sample.sample(images, places, False)
  assert found.shape == (2, 3, 6, 1, 2, 2)
  one = grid_sample.sample(images[1, 2], places[1, 2], False)
  np.testing.assert_allclose(found[1, 2], one, atol=1e-6)
  point = grid_sample.sample(images[1, 2], places[1, 2, 3, 0, 1], False)
  np.testing.assert_allclose(point, found[1, 2, 3, 0, 1], atol=1e-6)


def test_a_line_is_an_image_of_one_column():
  line = RNG.normal(size=(5, 1, 2))
  places = np.stack([np.zeros(5), np.linspace(-1, 1, 5)], axis=-1)
  np.testing.assert_allclose(
    grid_sample.sample(line, places, True), line[:, 0], atol=1e-6
  )


def test_far_outside_is_zero():
  places = np.array([[1e12, 0.0], [0.0, -1e12], [5.0, 5.0]])
  found = grid_sample.sample(np.ones((3, 3, 1)), places, True)
  np.testing.assert_array_equal(found, 0)
