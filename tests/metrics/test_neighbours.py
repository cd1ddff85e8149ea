import jax
import numpy as np
import pytest
import sklearn.datasets
import sklearn.neighbors

from jmim.data.builders import digits
from jmim.evals import knn
from jmim.metrics import accuracy
from jmim.metrics import neighbours


def data(seed=0, n=80, m=30, d=5, classes=4):
  rng = np.random.default_rng(seed)
  labels = rng.integers(0, classes, n)
  return rng.normal(size=(n, d)), labels, rng.normal(size=(m, d))


def slow_votes(train, labels, test, k, temperature, classes):
  """The definition, one row at a time, in float64."""
  votes = np.zeros((len(test), classes))
  for row, x in enumerate(test):
    similar = train @ x / np.linalg.norm(train, axis=1) / np.linalg.norm(x)
    for j in np.argsort(-similar)[:k]:
      votes[row, labels[j]] += np.exp(similar[j] / temperature)
  return votes


def mesh(devices):
  grid = np.asarray(jax.devices()[:devices]).reshape(
    -1, 2 if devices > 1 else 1
  )
  return jax.sharding.Mesh(grid, ("data", "fsdp"))


@pytest.mark.parametrize("devices", [1, 8])
@pytest.mark.parametrize("chunk, block", [(7, 3), (1024, 8192)])
def test_votes_are_the_definition(devices, chunk, block):
  train, labels, test = data()
  similar, near = neighbours.nearest(
    train, labels, test=test, k=7, mesh=mesh(devices), chunk=chunk, block=block
  )
  got = neighbours.votes(similar, near, (7, 2), temperature=0.07, classes=4)
  for k in (7, 2):
    want = slow_votes(
      train, labels, test=test, k=k, temperature=0.07, classes=4
    )
    np.testing.assert_allclose(got[k], want, rtol=1e-5)


def test_more_neighbours_than_rows_are_all_rows():
  train, labels, test = data(2, n=11)
  many = knn.votes(
    train, labels, test=test, k=50, temperature=0.07, classes=4, mesh=mesh(8)
  )
  np.testing.assert_allclose(
    many,
    slow_votes(train, labels, test=test, k=11, temperature=0.07, classes=4),
    rtol=1e-5,
  )


def test_equal_neighbours_are_taken_in_the_order_of_the_set():
  train = np.ones((20, 3))
  labels = np.arange(20)
  _, found = neighbours.nearest(
    train, labels, test=train[:2], k=6, mesh=mesh(8), block=2
  )
  np.testing.assert_array_equal(found, [range(6)] * 2)


def scans(split):
  loaded, ids = sklearn.datasets.load_digits(), digits.source_ids(split)
  return loaded.data[ids], loaded.target[ids]


@pytest.mark.parametrize("k", [1, 10, 20, 100])
def test_digits_equal_scikit_learn_to_the_last_example(k):
  (train, labels), (test, truth) = scans("train"), scans("test")
  reference = sklearn.neighbors.KNeighborsClassifier(
    k, metric="cosine", weights=lambda distance: np.exp((1 - distance) / 0.07)
  )
  want = reference.fit(train, labels).predict(test)
  got = knn.votes(
    train, labels, test=test, k=k, temperature=0.07, classes=10, mesh=mesh(8)
  )
  np.testing.assert_array_equal(got.argmax(1), want)
  assert accuracy.topk(got, truth, 1) == 100 * np.mean(want == truth)


def test_rows_of_zeros_do_not_become_nan():
  assert (neighbours.normalise(np.zeros((2, 3))) == 0).all()
