import numpy as np
import sklearn.neighbors

from jmim.evals import knn


def data(seed=0, n=80, m=30, d=5, classes=4):
  rng = np.random.default_rng(seed)
  labels = rng.integers(0, classes, n)
  return rng.normal(size=(n, d)), labels, rng.normal(size=(m, d))


def slow_votes(train, labels, test, k, temperature, classes):
  """The definition, one row at a time, in float64."""
  found = np.zeros((len(test), classes))
  for row, x in enumerate(test):
    similar = train @ x / np.linalg.norm(train, axis=1) / np.linalg.norm(x)
    for j in np.argsort(-similar)[:k]:
      found[row, labels[j]] += np.exp(similar[j] / temperature)
  return found


def test_votes_are_the_definition_whatever_the_chunk():
  train, labels, test = data()
  want = slow_votes(train, labels, test, 7, 0.07, 4)
  for chunk in (7, 1024):
    got = knn.votes(
      train.astype(np.float32), labels, test.astype(np.float32), 7, 0.07, 4,
      chunk,
    )  # fmt: skip
    np.testing.assert_allclose(got, want, rtol=1e-4)


def test_one_neighbour_is_scikit_learns_cosine_classifier():
  train, labels, test = data(1)
  reference = sklearn.neighbors.KNeighborsClassifier(1, metric="cosine")
  want = reference.fit(train, labels).predict(test)
  got = knn.votes(train, labels, test, 1, 0.07, 4).argmax(1)
  np.testing.assert_array_equal(got, want)


def test_topk_counts_percent():
  scores = np.array([[3.0, 2, 1], [1, 2, 3], [2, 3, 1], [2, 3, 1]])
  labels = np.array([0, 0, 0, 1])
  assert knn.topk(scores, labels, 1) == 50.0
  assert knn.topk(scores, labels, 2) == 75.0
  assert knn.topk(scores, labels, 3) == 100.0


def test_rows_of_zeros_do_not_become_nan():
  assert (knn.normalise(np.zeros((2, 3))) == 0).all()
