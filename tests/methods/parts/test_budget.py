import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import budget


def test_lengths_are_grey_levels_of_images_in_minus_1_to_1():
  made = budget.Budget(epsilon=16.0, alpha=2.0, steps=4)
  assert made.radius == pytest.approx(32 / 255)
  np.testing.assert_allclose(made.lengths(slowing=False), 4 * [4 / 255])
  a = 4 / 255
  slow = [a - (a - a / 100) / 4 * i for i in range(4)]
  np.testing.assert_allclose(made.lengths(slowing=True), slow)


def test_a_start_is_in_the_box_and_fills_it():
  clean = jnp.linspace(-1, 1, 3000).reshape(1000, 3)
  keys = randomness.Keys(jax.random.key(0))
  start = budget.Budget().draw(keys, clean.shape)["start"]
  assert -1 <= float(start.min()) < -0.99 and 0.99 < float(start.max()) < 1
  still = budget.Budget().begun(clean, start)
  np.testing.assert_array_equal(still, clean)
  made = budget.Budget(start=True)
  moved = np.asarray(made.begun(clean, start) - clean)
  assert 0.95 * made.radius < np.abs(moved).max() <= made.radius + 1e-6
  assert np.abs(made.begun(clean, start)).max() <= 1
  corner = np.asarray(made.corner(clean, start))
  inside = np.abs(clean) < 1 - made.radius
  far = np.abs(corner - clean)[inside]
  np.testing.assert_allclose(far, made.radius, atol=1e-6)
  assert np.abs(corner).max() <= 1
