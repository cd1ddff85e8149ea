import itertools

import numpy as np
import pytest
import scipy.spatial
import scipy.stats
import sklearn.model_selection
import sklearn.neighbors

from jmim.metrics import clouds


def sets(n, m, points=12, seed=0, apart=0.0):
  rng = np.random.default_rng(seed)
  a = rng.normal(size=(n, points, 3))
  return a, rng.normal(size=(m, points, 3)) + apart


def test_chamfer_by_hand():
  a = np.array([[0.0, 0, 0], [1, 0, 0]])
  b = np.array([[0.0, 0, 0], [0, 3, 0], [1, 0, 2]])
  # To b: 0 and 1; to a: 0, 9 and 4.
  assert clouds.chamfer(a, b) == pytest.approx((0 + 1) / 2 + (0 + 9 + 4) / 3)
  assert clouds.chamfer(a, b) == clouds.chamfer(b, a)


def test_a_cloud_is_at_0_of_itself_in_any_order():
  (a,), (b,) = sets(1, 1)
  for measure in clouds.DISTANCES.values():
    assert measure(a, a[::-1]) == pytest.approx(0, abs=1e-12)
    assert measure(a, b) > 0.1
    assert measure(a, b) == pytest.approx(measure(b, a))


def test_chamfer_is_that_of_all_pairs():
  (a,), (b,) = sets(1, 1, points=30, seed=1)
  squared = scipy.spatial.distance.cdist(a, b, "sqeuclidean")
  expected = squared.min(1).mean() + squared.min(0).mean()
  assert clouds.chamfer(a, b) == pytest.approx(expected)


def test_emd_by_hand_and_over_all_permutations():
  a = np.array([[0.0, 0, 0], [1, 0, 0]])
  # Nearest alone would take the first twice; one of them goes 3 away.
  b = np.array([[0.5, 0, 0], [4, 0, 0]])
  assert clouds.earth_mover(a, b) == pytest.approx((0.5 + 3) / 2)
  (a,), (b,) = sets(1, 1, points=6, seed=2)
  best = min(
    np.linalg.norm(a - b[list(order)], axis=1).mean()
    for order in itertools.permutations(range(6))
  )
  assert clouds.earth_mover(a, b) == pytest.approx(best)
  with pytest.raises(ValueError, match="6 and 5 points"):
    clouds.earth_mover(a, b[:5])


def test_on_a_line_emd_is_that_of_scipy():
  rng = np.random.default_rng(3)
  a, b = rng.normal(size=(2, 40))
  line = lambda x: np.stack([x, 0 * x, 0 * x], 1)
  expected = scipy.stats.wasserstein_distance(a, b)
  assert clouds.earth_mover(line(a), line(b)) == pytest.approx(expected)


def test_distances_of_a_set_to_itself_are_all_pairs():
  a, _ = sets(4, 1)
  found = clouds.distances(a, a, "cd")
  other = clouds.distances(a, a.copy(), "cd")
  np.testing.assert_allclose(found, other)
  assert not np.diag(found).any()


def test_1nna_is_leave_one_out_of_scikit_learn():
  a, b = sets(9, 7, apart=0.3, seed=4)
  whole = np.concatenate([a, b])
  table = clouds.distances(whole, whole, "emd")
  label = np.arange(16) >= 9
  knn = sklearn.neighbors.KNeighborsClassifier(1, metric="precomputed")
  right = [
    knn.fit(table[np.ix_(train, train)], label[train]).predict(
      table[np.ix_(test, train)]
    )
    == label[test]
    for train, test in sklearn.model_selection.LeaveOneOut().split(whole)
  ]
  found = clouds.compare(a, b, "emd")["1nna"]
  assert found == pytest.approx(np.mean(right)) and 0 < found < 1


def test_cov_and_mmd_by_hand():
  # Two samples near reference 0, one near 1, none near 2.
  table = np.array([[0.1, 5, 9], [0.4, 6, 9], [7, 0.2, 9]])
  assert clouds.coverage(table) == pytest.approx(2 / 3)
  assert clouds.matching(table) == pytest.approx((0.1 + 0.2 + 9) / 3)


def test_sets_apart_are_told_apart_and_copies_cover():
  a, b = sets(6, 6, apart=20.0)
  far = clouds.compare(a, b, "cd")
  assert far["1nna"] == 1 and far["cov"] < 1
  same = clouds.compare(b + 1e-9, b, "cd")
  # Each cloud's nearest is its copy, which is of the other set.
  assert same == {"1nna": 0.0, "cov": 1.0, "mmd": pytest.approx(0, abs=1e-9)}
