import types

import numpy as np
import pytest

from jmim.evals import knn
from jmim.evals import probe


def blobs(seed=0, n=200):
  rng = np.random.default_rng(seed)
  labels = rng.integers(0, 3, n)
  centres = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0]])
  return centres[labels] + rng.normal(size=(n, 3)), labels


def test_ridge_is_its_normal_equations():
  x, y = blobs()
  test, _ = blobs(1)
  z = (x - x.mean(0)) / x.std(0)
  targets = np.where(y[:, None] == np.arange(3), 1.0, -1.0)
  offset = targets.mean(0)
  w = np.linalg.solve(z.T @ z + 2.0 * np.eye(3), z.T @ (targets - offset))
  want = ((test - x.mean(0)) / x.std(0) @ w + offset).argmax(1)
  got = probe.fit("ridge", x, y, 2.0).predict(test)
  np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("head", ["ridge", "logistic"])
def test_scale_and_shift_of_features_do_not_matter(head):
  x, y = blobs()
  test, truth = blobs(1)
  plain = probe.fit(head, x, y, 1.0).predict(test)
  moved = probe.fit(head, 1e3 * x + 7, y, 1.0).predict(1e3 * test + 7)
  np.testing.assert_array_equal(plain, moved)
  assert (plain == truth).mean() > 0.9


@pytest.mark.parametrize("kind, key", [(probe, "accuracy"), (knn, "top1")])
@pytest.mark.parametrize("name", ["image", "views", "video"])
def test_pixels_stand_beside_methods_of_single_images(kind, key, name):
  asked = []

  def features(what, split, limit, weights):
    asked.append((what, split, limit, weights))
    return blobs(split == "eval", 60)

  context = types.SimpleNamespace(
    method=types.SimpleNamespace(inputs=lambda: {name: None}),
    features=features,
    mesh=None,
  )
  made = kind.Evaluator(
    train_limit=50, limit=0, **({"k": (5,)} if kind is knn else {})
  )
  found = dict(made.run(context))
  lines = {f"{p}{key}" for p in ("", "untrained_")}
  assert set(found) - {"examples"} == (
    lines | {f"pixels_{key}"} if name == "image" else lines
  )
  assert ("features", "train", 50, "untrained") in asked
  assert ("features", "eval", None, "raw") in asked
