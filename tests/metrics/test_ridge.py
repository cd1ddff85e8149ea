import numpy as np
import pytest
import sklearn.linear_model

from jmim.metrics import ridge


@pytest.mark.parametrize("n, d", [(40, 7), (7, 40)])
def test_ridge_is_least_squares_with_the_penalty_as_rows(n, d):
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(n, d)), rng.normal(size=(n, 3))
  more = np.concatenate([x, np.sqrt(5.0) * np.eye(d)])
  want = np.linalg.lstsq(more, np.concatenate([y, np.zeros((d, 3))]))[0]
  np.testing.assert_allclose(ridge.solve(x, y, 5.0), want, rtol=1e-9)


@pytest.mark.parametrize("n, d", [(40, 7), (7, 40), (9, 9)])
def test_it_equals_scikit_learn_on_either_side(n, d):
  rng = np.random.default_rng(1)
  x, y = rng.normal(size=(n, d)), rng.normal(size=(n, 2))
  reference = sklearn.linear_model.Ridge(alpha=3.0, fit_intercept=False)
  want = reference.fit(x, y).coef_.T
  np.testing.assert_allclose(
    ridge.solve(x, y, 3.0), want, rtol=1e-8, atol=1e-12
  )


def test_a_large_penalty_leaves_nothing_and_a_small_one_interpolates():
  rng = np.random.default_rng(2)
  x, y = rng.normal(size=(5, 30)), rng.normal(size=(5, 2))
  assert abs(ridge.solve(x, y, 1e12)).max() < 1e-9
  np.testing.assert_allclose(x @ ridge.solve(x, y, 1e-9), y, rtol=1e-6)
