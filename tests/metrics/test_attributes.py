"""Against scikit-learn, scipy and sums written out."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from jmim.metrics import attributes


@pytest.mark.parametrize("levels", [2, 7, 10**6])
def test_average_precision_is_that_of_scikit_learn(levels):
  """Also where many examples have the same score."""
  rng = np.random.default_rng(levels)
  scores, truth = rng.integers(0, levels, 200) / 3, rng.random(200) < 0.3
  want = 100 * sklearn.metrics.average_precision_score(truth, scores)
  assert attributes.average_precision(scores, truth) == pytest.approx(want)


def test_average_precision_by_hand():
  scores, truth = np.array([4.0, 3, 2, 1]), np.array([1, 0, 1, 0]) == 1
  got = attributes.average_precision(scores, truth)
  assert got == pytest.approx(100 * (1 / 2 * 1 + 1 / 2 * 2 / 3))
  # A score without information: the share of true ones.
  assert attributes.average_precision(0 * scores, truth) == 50
  assert np.isnan(attributes.average_precision(scores, truth & False))


def test_average_precision_knows_the_order_alone():
  rng = np.random.default_rng(0)
  scores, truth = rng.normal(size=80), rng.random(80) < 0.5
  mixed = rng.permutation(80)
  one = attributes.average_precision(scores, truth)
  assert attributes.average_precision(np.exp(scores) - 9, truth) == one
  assert attributes.average_precision(scores[mixed], truth[mixed]) == one


def test_pearson_is_that_of_scipy_and_0_of_a_constant():
  rng = np.random.default_rng(1)
  a = rng.normal(size=50)
  b = a + rng.normal(size=50)
  want = scipy.stats.pearsonr(a, b).statistic
  assert attributes.pearson(a, b) == pytest.approx(want)
  assert attributes.pearson(3 - 2 * a, b) == pytest.approx(-want)
  assert attributes.pearson(a, np.ones(50)) == 0
  # Their rounded mean is another number than they are.
  assert attributes.pearson(np.full(3, 0.1), np.full(3, 0.7)) == 0


def test_squared_error_does_not_round_in_float32():
  a = np.full(3, 1e4, np.float32)
  assert attributes.squared_error(a, a + 0.125) == pytest.approx(0.125**2)
