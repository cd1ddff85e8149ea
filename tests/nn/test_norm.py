import numpy as np

from jmim.nn import norm


def test_unit_has_length_1_and_keeps_zero(normal):
  x = normal(3, 5)
  x[0] = 0
  y = np.asarray(norm.unit(x))
  np.testing.assert_allclose(np.linalg.norm(y[1:], axis=1), 1, rtol=1e-5)
  np.testing.assert_array_equal(y[0], 0)


def test_whitened_tokens_have_mean_0_and_variance_1(normal):
  y = np.asarray(norm.whiten(3 + 7 * normal(4, 64)))
  np.testing.assert_allclose(y.mean(1), 0, atol=1e-5)
  np.testing.assert_allclose(y.var(1), 1, rtol=1e-4)
