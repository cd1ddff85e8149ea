import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn import directions

A, B = jax.random.normal(jax.random.key(0), (2, 5, 7))


def test_alike_is_the_cosine_and_lengths_do_not_matter():
  found = directions.alike(A, B)
  a, b = np.asarray(A, float), np.asarray(B, float)
  cos = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
  np.testing.assert_allclose(found, cos, atol=1e-5)
  np.testing.assert_allclose(directions.alike(3 * A, 0.2 * B), cos, atol=1e-5)
  np.testing.assert_array_equal(directions.alike(A, 0 * B), 0.0)


def test_a_change_is_of_what_has_length_1():
  unit = lambda x: x / jnp.linalg.norm(x, axis=1, keepdims=True)
  wanted = unit(B) - unit(A)
  np.testing.assert_allclose(directions.change(A, B), wanted, atol=1e-6)
  np.testing.assert_allclose(directions.change(2 * A, B), wanted, atol=1e-6)
  # Where nothing changes there is no direction, and no score.
  same = directions.change(A, A)
  np.testing.assert_array_equal(directions.alike(same, wanted), 0.0)
