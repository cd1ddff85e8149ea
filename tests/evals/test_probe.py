import evalkit
import numpy as np
import pytest
import sklearn.linear_model
import sklearn.preprocessing
import sklearn.svm

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


@pytest.mark.parametrize("head", probe.HEADS)
def test_scale_and_shift_of_features_do_not_matter(head):
  x, y = blobs()
  test, truth = blobs(1)
  plain = probe.fit(head, x, y, 1.0).predict(test)
  moved = probe.fit(head, 1e3 * x + 7, y, 1.0).predict(1e3 * test + 7)
  np.testing.assert_array_equal(plain, moved)
  assert (plain == truth).mean() > 0.9


@pytest.mark.parametrize("penalty", [0.1, 10.0])
def test_logistic_regression_is_penalised_on_standardised_features(penalty):
  x, y = blobs()
  test, _ = blobs(1)
  scale = sklearn.preprocessing.StandardScaler().fit(x)
  reference = sklearn.linear_model.LogisticRegression(C=1 / penalty)
  reference.fit(scale.transform(x), y)
  got = probe.fit("logistic", x, y, penalty).predict_proba(test)
  want = reference.predict_proba(scale.transform(test))
  np.testing.assert_allclose(got, want, atol=1e-3)


@pytest.mark.parametrize(
  "head, classes",
  [(h, c) for h in ("ridge", "logistic") for c in (2, 3, 5)] + [("svm", 2)],
)
def test_the_plain_head_decides_as_the_fitted_one(head, classes):
  x, y = blobs()
  test, _ = blobs(1)
  y = {2: np.minimum(y, 1), 3: y, 5: 2 * y}[classes]  # of five, three occur
  model = probe.fit(head, 5 * x + 3, y, 1.0)
  kernel, bias = probe.plain(model)
  assert kernel.shape == (3, classes)
  scores = (5 * test + 3) @ kernel + bias
  np.testing.assert_array_equal(scores.argmax(1), model.predict(5 * test + 3))
  want = model.decision_function(5 * test + 3)
  got = (
    scores[:, 1] - scores[:, 0] if classes == 2 else scores[:, model.classes_]
  )
  np.testing.assert_allclose(got, want, atol=1e-4)


def test_an_svm_is_that_of_scikit_learn_on_features_as_they_are():
  x, y = blobs()
  test, _ = blobs(1)
  own = probe.fit("svm", 3 * x + 1, y, 100.0, standardise=False)
  peer = sklearn.svm.SVC(C=0.01, kernel="linear").fit(3 * x + 1, y)
  np.testing.assert_array_equal(
    own.decision_function(3 * test + 1), peer.decision_function(3 * test + 1)
  )


def test_an_svm_of_more_than_two_classes_is_no_linear_layer():
  """Pairs of classes vote: no head is kept for exports, the number is."""
  x, y = blobs()
  assert probe.plain(probe.fit("svm", x, y, 1.0)) is None
  svm = probe.Evaluator(head="svm", reference=False)
  found = dict(svm.run(evalkit.context(n=(120, 53))))
  assert set(found) == {"accuracy"} and found["accuracy"] > 60


def test_pixels_and_the_untrained_network_stand_beside_it():
  values = dict(probe.Evaluator().run(evalkit.context(n=(120, 53))))
  del values["head"]
  assert set(values) == {
    "accuracy",
    "pixels_accuracy",
    "untrained_accuracy",
  }
  assert min(values.values()) > 60
  alone = dict(
    probe.Evaluator(reference=False).run(evalkit.context(n=(120, 53)))
  )
  assert alone.pop("head").kernel.ndim == 2
  assert alone == {"accuracy": values["accuracy"]}
