import evalkit
import numpy as np
import pytest
import sklearn.datasets
import sklearn.linear_model

from jmim.data.builders import digits
from jmim.evals import fewshot

WHOLE = pytest.param("cifar10", None, None, marks=pytest.mark.slow)
SETS = [("digits/plain", None, None), ("cifar10", 3000, 500), WHOLE]


def test_choice_is_balanced_random_and_nested():
  labels = np.random.default_rng(1).integers(0, 4, 200)
  few, more = (fewshot.choose(labels, s, seed=5) for s in (3, 10))
  assert set(few) < set(more) and len(set(more)) == 40
  assert (np.bincount(labels[few]) == 3).all()
  assert set(few) != set(fewshot.choose(labels, 3, seed=6))
  everything = fewshot.choose(labels, 1000, seed=5)
  assert sorted(everything) == list(range(200))


def test_digits_equal_the_published_recipe_in_float64_to_the_last_example():
  scans = sklearn.datasets.load_digits()
  train, test = digits.source_ids("train"), digits.source_ids("test")
  labels = scans.target[train]
  few = fewshot.choose(labels, 10, seed=0)
  x, y = scans.data[train][few], labels[few]
  got = fewshot.scores(
    x.astype(np.float32), y, test=scans.data[test], classes=10, penalty=1024.0
  )
  # big_vision's eigendecomposition, in float64.
  mean, std = x.mean(0), x.std(0) + 1e-5
  whiten = lambda v: np.pad(
    (v - mean) / std, ((0, 0), (0, 1)), constant_values=100.0
  )
  z, targets = whiten(x), 2.0 * np.eye(10)[y] - 1.0
  eigenvalues, q = np.linalg.eigh(z.T @ z)
  w = q @ ((q.T @ (z.T @ targets)) / (eigenvalues + 1024.0)[:, None])
  want = whiten(scans.data[test]) @ w
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)
  np.testing.assert_array_equal(got.argmax(1), want.argmax(1))
  assert (want.argmax(1) == scans.target[test]).mean() > 0.8


def test_evaluator_improves_with_shots_and_counts_all():
  context = evalkit.context(n=(120, 53))
  values = dict(fewshot.Evaluator(shots=(1, 20), seeds=4).run(context))
  assert values["20shot"] > values["1shot"] and values["20shot"] > 60
  assert values["examples"] == 53 and values["1shot_std"] > 0


@pytest.mark.parametrize("name, n, m", SETS)
@pytest.mark.parametrize("shots", [10, 100])
def test_raw_pixels_equal_scikit_learn(pixels, name, n, m, shots):
  (train, labels), (test, _) = pixels(name, "train", n), pixels(name, "test", m)
  few = fewshot.choose(labels, shots, seed=0)
  x, y = train[few].astype(np.float64), labels[few]
  mean, std = x.mean(0), x.std(0) + 1e-5

  def whiten(v):
    return np.c_[(v - mean) / std, np.full(len(v), 100.0)]

  # Its own solver, with nothing of ours; the constant column is penalised.
  reference = sklearn.linear_model.Ridge(
    alpha=1024.0, fit_intercept=False, solver="svd"
  ).fit(whiten(x), 2.0 * np.eye(10)[y] - 1)
  want = reference.predict(whiten(test))
  got = fewshot.scores(train[few], y, test=test, classes=10, penalty=1024.0)
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)
  np.testing.assert_array_equal(got.argmax(1), want.argmax(1))
