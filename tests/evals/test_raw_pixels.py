"""k-NN and few-shot ridge of raw pixels are scikit-learn's, image by image."""

import jax
import numpy as np
import pytest
import sklearn.linear_model
import sklearn.neighbors

from jmim.data import decode
from jmim.data import sources
from jmim.evals import fewshot
from jmim.evals import knn

WHOLE = pytest.param("cifar10", None, None, marks=pytest.mark.slow)
SETS = [("digits/plain", None, None), ("cifar10", 3000, 500), WHOLE]


@pytest.fixture
def pixels(request, tmp_path):
  """(name, split, n) -> rows [n, d] in 0 .. 1, labels [n]; n None: all."""

  def read(name, split, n):
    digits = name.startswith("digits")
    where = tmp_path if digits else request.getfixturevalue("tfds_dir")
    source = sources.build(name, split, str(where))
    found = [source[i] for i in range(n or len(source))]
    images = [decode.decode(x["image"], 1 if digits else 3) for x in found]
    rows = np.stack([x.ravel() for x in images]) / np.float32(255)
    return rows, np.array([x["label"] for x in found])

  return read


def mesh():
  return jax.sharding.Mesh(np.asarray(jax.devices()), ("data",))


@pytest.mark.parametrize("name, n, m", SETS)
def test_neighbours(pixels, name, n, m):
  (train, labels), (test, _) = pixels(name, "train", n), pixels(name, "test", m)
  for k in (10, 20):
    reference = sklearn.neighbors.KNeighborsClassifier(
      k, metric="cosine", weights=lambda d: np.exp((1 - d) / 0.07)
    ).fit(train.astype(np.float64), labels)
    want = reference.predict(test.astype(np.float64))
    got = knn.votes(
      train, labels, test=test, k=k, temperature=0.07, classes=10, mesh=mesh()
    ).argmax(1)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name, n, m", SETS)
@pytest.mark.parametrize("shots", [10, 100])
def test_few_shots(pixels, name, n, m, shots):
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
