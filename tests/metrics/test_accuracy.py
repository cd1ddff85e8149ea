import numpy as np
import pytest
import sklearn.metrics

from jmim.metrics import accuracy


def test_it_counts_percent():
  scores = np.array([[3.0, 2, 1], [1, 2, 3], [2, 3, 1], [2, 3, 1]])
  labels = np.array([0, 0, 0, 1])
  assert accuracy.topk(scores, labels, 1) == 50.0
  assert accuracy.topk(scores, labels, 2) == 75.0
  assert accuracy.topk(scores, labels, 3) == 100.0


@pytest.mark.parametrize("k", [1, 3, 5])
def test_it_equals_scikit_learn(k):
  rng = np.random.default_rng(k)
  scores, labels = rng.normal(size=(150, 7)), rng.integers(0, 7, 150)
  want = sklearn.metrics.top_k_accuracy_score(labels, scores, k=k)
  assert accuracy.topk(scores, labels, k) == pytest.approx(100 * want)


def test_of_equal_scores_the_first_class_is_higher():
  scores = np.zeros((3, 4))
  assert accuracy.topk(scores, np.array([0, 1, 3]), 1) == pytest.approx(100 / 3)
  assert accuracy.topk(scores, np.array([0, 1, 3]), 2) == pytest.approx(200 / 3)
