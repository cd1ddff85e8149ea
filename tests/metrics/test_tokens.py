import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats

from jmim.metrics import tokens as metrics


def test_entropy_of_a_sentence_is_that_of_its_histogram():
  x = np.array([[0, 0, 0, 0], [0, 1, 2, 3], [5, 5, 2, 2], [1, 1, 1, 7]])
  want = [0, np.log(4), np.log(2), metrics.entropy(np.array([0.75, 0.25]))]
  np.testing.assert_allclose(metrics.sentence_entropy(x), want, atol=1e-12)


def test_bigrams_count_neighbours_and_sampling_error_is_seen():
  x = np.array([[0, 1, 1], [1, 1, 0]])
  np.testing.assert_allclose(metrics.bigrams(x, 2), [[0, 0.25], [0.25, 0.5]])
  assert metrics.total_variation(np.array([1, 0]), np.array([0.5, 0.5])) == 0.5
  p, rng = np.array([0.7, 0.2, 0.1]), np.random.default_rng(0)
  drawn = rng.multinomial(500, p, size=4000) / 500
  seen = np.abs(drawn - p).sum(1).mean() / 2
  assert metrics.sampling_error(p, 500) == pytest.approx(seen, rel=0.05)


def test_shares_and_entropies_equal_scipy():
  x = np.random.default_rng(0).integers(0, 5, (30, 8))
  shares = metrics.unigrams(x, 7)
  np.testing.assert_allclose(shares, np.bincount(x.ravel(), minlength=7) / 240)
  assert metrics.entropy(shares) == pytest.approx(scipy.stats.entropy(shares))
  rows = [scipy.stats.entropy(np.bincount(row)) for row in x]
  np.testing.assert_allclose(metrics.sentence_entropy(x), rows, atol=1e-12)


def test_total_variation_is_half_the_city_block_distance():
  p, q = np.random.default_rng(1).dirichlet(np.ones(6), 2)
  want = scipy.spatial.distance.cityblock(p, q) / 2
  assert metrics.total_variation(p, q) == pytest.approx(want)
  assert metrics.total_variation(p, p) == 0


def test_two_sets_of_draws_differ_by_the_root_of_two_more():
  p = np.array([0.6, 0.3, 0.1])
  one, two = (metrics.sampling_error(p, 100, samples=s) for s in (1, 2))
  assert two == pytest.approx(one * 2**0.5)
