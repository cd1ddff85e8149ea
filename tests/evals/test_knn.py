import types

import evalkit
import numpy as np
import pytest
import sklearn.neighbors

from jmim.evals import knn

WHOLE = pytest.param("cifar10", None, None, marks=pytest.mark.slow)
SETS = [("digits/plain", None, None), ("cifar10", 3000, 500), WHOLE]


@pytest.mark.parametrize("name, n, m", SETS)
def test_raw_pixels_equal_scikit_learn(pixels, mesh, name, n, m):
  (train, labels), (test, _) = pixels(name, "train", n), pixels(name, "test", m)
  for k in (10, 20):
    reference = sklearn.neighbors.KNeighborsClassifier(
      k, metric="cosine", weights=lambda d: np.exp((1 - d) / 0.07)
    ).fit(train.astype(np.float64), labels)
    want = reference.predict(test.astype(np.float64))
    got = knn.votes(
      train, labels, test=test, k=k, temperature=0.07, classes=10, mesh=mesh
    ).argmax(1)
    np.testing.assert_array_equal(got, want)


def test_one_device_and_eight_and_any_batch_give_the_same_numbers():
  evaluator = knn.Evaluator(k=(3, 1))
  values = [
    dict(evaluator.run(evalkit.context(batch, devices=devices)))
    for batch, devices in ((16, 8), (8, 8), (5, 1))
  ]
  assert values[0] == values[1] == values[2]
  assert values[0]["examples"] == 21 and values[0]["top1"] > 50


def test_the_first_k_is_the_headline():
  values = dict(knn.Evaluator(k=(5, 1)).run(evalkit.context()))
  assert {k for k in values if not k.startswith(("pixels", "untrained"))} == {
    "top1",
    "top1_k1",
    "examples",
  }
  swapped = dict(knn.Evaluator(k=(1, 5)).run(evalkit.context()))
  assert swapped["top1"] == values["top1_k1"]
  assert swapped["top1_k5"] == values["top1"]


def test_a_small_training_set_has_fewer_neighbours():
  rng = np.random.default_rng(0)
  rows = {"train": rng.normal(size=(4, 3)), "eval": rng.normal(size=(6, 3))}
  labels = {"train": np.array([0, 1, 1, 1]), "eval": np.ones(6, int)}
  context = types.SimpleNamespace(
    method=types.SimpleNamespace(inputs=dict),
    features=lambda name, split, *rest: (rows[split], labels[split]),
    devices=types.SimpleNamespace(mesh=None),
    fitted_on=lambda split: context,
  )
  evaluator = knn.Evaluator(k=(200,), reference=False, temperature=1e6)
  # All four vote alike, whatever is near: class 1 wins.
  assert dict(evaluator.run(context))["top1"] == 100.0
