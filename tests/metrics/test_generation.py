import numpy as np
import pytest
import scipy.linalg
import sklearn.metrics.pairwise
import sklearn.neighbors

from jmim.metrics import generation


def sets(seed=0, n=300, m=200, d=8):
  rng = np.random.default_rng(seed)
  mix = rng.normal(size=(d, d))
  return rng.normal(size=(n, d)) @ mix + 5, rng.normal(size=(m, d)) + 4.5


def test_moments_in_parts_equal_numpy():
  x, _ = sets()
  x = (x + 1e4).astype(np.float32)  # a mean that eats digits
  found = generation.Moments()
  for part in np.array_split(x, [1, 3, 100]):
    found.add(part)
  x = x.astype(np.float64)
  np.testing.assert_allclose(found.mean, x.mean(0), rtol=1e-12)
  np.testing.assert_allclose(found.covariance, np.cov(x.T), rtol=1e-8)


@pytest.mark.parametrize("n", [300, 5])  # 5: covariances of low rank
def test_fid_equals_scipy(n):
  x, y = (z[:n] for z in sets())
  a, b = generation.of(x), generation.of(y)
  root = scipy.linalg.sqrtm(a.covariance @ b.covariance).real
  want = ((a.mean - b.mean) ** 2).sum() + np.trace(
    a.covariance + b.covariance - 2 * root
  )
  got = generation.frechet(a.mean, a.covariance, b.mean, b.covariance)
  np.testing.assert_allclose(got, want, rtol=1e-5)


def test_fid_of_a_set_with_itself_is_zero_and_of_a_shift_its_square():
  a = generation.of(sets()[0])
  same = generation.frechet(a.mean, a.covariance, a.mean, a.covariance)
  moved = generation.frechet(a.mean, a.covariance, a.mean + 2, a.covariance)
  assert abs(same) < 1e-9
  np.testing.assert_allclose(moved, 4 * 8, rtol=1e-9)


def test_extrapolation_is_nearer_to_the_truth_than_all_samples():
  rng = np.random.default_rng(0)
  mean, cov = np.zeros(16), np.eye(16)
  x = rng.normal(size=(1500, 16))  # the true distance is 0
  moments = generation.of(x)
  plain = generation.frechet(moments.mean, moments.covariance, mean, cov)
  better = generation.frechet_infinity(x, mean, cov)
  assert abs(better) < 0.3 * plain


def test_kid_equals_scikit_learn_and_is_unbiased():
  x, y = sets()
  kernel = lambda a, b: sklearn.metrics.pairwise.polynomial_kernel(
    a, b, degree=3, gamma=1 / 8, coef0=1
  )
  n, m = len(x), len(y)
  kx, ky = kernel(x, x), kernel(y, y)
  want = (
    (kx.sum() - np.trace(kx)) / (n * (n - 1))
    + (ky.sum() - np.trace(ky)) / (m * (m - 1))
    - 2 * kernel(x, y).mean()
  )
  np.testing.assert_allclose(generation.mmd(x, y), want, rtol=1e-10)
  rng = np.random.default_rng(1)
  same = [generation.mmd(*rng.normal(size=(2, 20, 4))) for _ in range(300)]
  assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(300)
  mean, std = generation.kernel_distance(x, y, size=150, subsets=30)
  assert abs(mean - want) < 3 * std


def test_inception_score_by_hand():
  sure = np.log(np.eye(4)[np.arange(40) % 4] + 1e-12)
  score, std = generation.inception_score(sure, splits=5)
  np.testing.assert_allclose([score, std], [4, 0], atol=1e-6)
  assert generation.inception_score(np.zeros((40, 4)))[0] == pytest.approx(1)
  rng = np.random.default_rng(0)
  p = rng.dirichlet(np.ones(5), 30)
  want = np.exp((p * np.log(p / p.mean(0))).sum(1).mean())
  got, _ = generation.inception_score(np.log(p) + 3, splits=1)
  np.testing.assert_allclose(got, want, rtol=1e-10)


def test_precision_and_recall_equal_scikit_learn():
  x, y = sets(n=120, m=90, d=3)
  for k in (1, 3):
    near = lambda z, k=k: (
      sklearn.neighbors.NearestNeighbors(n_neighbors=k + 1)
      .fit(z)
      .kneighbors(z)[0][:, k]
    )
    distance = sklearn.metrics.pairwise.euclidean_distances(y, x)
    precision = (distance <= near(x)).any(1).mean()
    recall = (distance.T <= near(y)).any(1).mean()
    got = generation.precision_recall(x, y, k)
    np.testing.assert_allclose(got, (precision, recall))
  assert generation.precision_recall(x, x + 1e3) == (0.0, 0.0)


def test_nothing_adds_nothing_to_moments():
  x, _ = sets(n=7)
  found = generation.Moments()
  for part in (x[:0], x[:4], x[:0], x[4:], x[:0]):
    found.add(part)
  np.testing.assert_allclose(found.mean, x.mean(0))
  np.testing.assert_allclose(found.covariance, np.cov(x.T))


@pytest.mark.parametrize(
  "measure",
  [
    lambda x: generation.precision_recall(x, x),
    lambda x: generation.kernel_distance(x[:1], x),
    lambda x: generation.frechet_infinity(x[:2], x[0], np.eye(8)),
    lambda x: generation.of(x[:1]).covariance,
  ],
)
def test_too_few_rows_are_never_a_number(measure):
  with pytest.raises(ValueError):
    measure(sets(n=3)[0])


def test_inception_score_of_fewer_rows_than_parts_is_a_number():
  assert generation.inception_score(np.zeros((3, 4))) == (1.0, 0.0)


def test_the_spread_is_within_classes():
  x = np.array([[0.0, 0.0], [2.0, 0.0], [9.0, 9.0]])
  assert generation.spread(x, np.array([0, 0, 1])) == np.sqrt(2 / 3)
  assert generation.spread(x, np.array([0, 1, 2])) == 0
