import numpy as np

from jmim.diffusion import between


def test_noise_keeps_its_length_along_the_circle(normal):
  a, b = normal(3, 4, 4, 2), normal(3, 4, 4, 2, seed=1)
  norm = lambda x: np.linalg.norm(np.reshape(x, (3, -1)), axis=1)
  b = b / norm(b)[:, None, None, None] * norm(a)[:, None, None, None]
  np.testing.assert_allclose(between.slerp(a, b, 0.0), a, atol=1e-5)
  np.testing.assert_allclose(between.slerp(a, b, 1.0), b, atol=1e-5)
  half = between.slerp(a, b, 0.5)
  np.testing.assert_allclose(norm(half), norm(a), rtol=1e-5)
  # Its angles to both ends are the same.
  dot = lambda x, y: (np.asarray(x) * y).reshape(3, -1).sum(1)
  np.testing.assert_allclose(dot(half, a), dot(half, b), rtol=1e-4)


def test_between_equal_states_is_that_state(normal):
  a = normal(2, 5)
  np.testing.assert_allclose(between.slerp(a, a, 0.3), a, atol=1e-5)
  np.testing.assert_allclose(between.lerp(a, 3 * a, 0.25), 1.5 * a, atol=1e-6)
