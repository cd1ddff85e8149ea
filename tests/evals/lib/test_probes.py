"""Scores and measures against formulas written out and scikit-learn."""

import functools

import numpy as np
import pytest
import sklearn.linear_model
import sklearn.metrics

from jmim.core import errors
from jmim.evals.lib import probes


def features(n=90, m=40, d=5, seed=0):
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(n + m, d))
  x = (x - x[:n].mean(0)) / x[:n].std(0)
  return x[:n], x[n:]


def target(kind, make, name="it"):
  """Two attributes, functions of the features and of noise."""
  x, x_test = features()
  rng = np.random.default_rng(1)
  noisy = lambda z: z[:, :2] + 0.3 * rng.normal(size=(len(z), 2))
  return probes.Target(
    name=name, kind=kind, train=make(noisy(x)), test=make(noisy(x_test))
  )


MAKE = {
  "classes": lambda z: np.digitize(z, (-0.5, 0.5)),
  "binary": lambda z: z > 0,
  "real": lambda z: (5 + 3 * z).astype(np.float32),
}


def ridge(x, y, x_test, penalty):
  """By the normal equations of centred targets."""
  w = np.linalg.solve(
    x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (y - y.mean(0))
  )
  return x_test @ w + y.mean(0)


def score(head, one, penalty=2.0):
  x, x_test = features()
  return probes.fit(head, one, train=x, penalty=penalty).scores(x_test)


def test_classes_are_those_of_a_ridge_of_each_attribute():
  one = target("classes", MAKE["classes"])
  x, x_test = features()
  hits = []
  for train, test in zip(one.train.T, one.test.T, strict=True):
    model = sklearn.linear_model.RidgeClassifier(alpha=2.0).fit(x, train)
    hits.append(100 * model.score(x_test, test))
  got = one.measure(score("ridge", one))
  assert got == {"accuracy": pytest.approx(np.mean(hits))}
  assert 60 < got["accuracy"] < 100


@pytest.mark.parametrize("head", ["ridge", "logistic"])
def test_binary_ones_have_the_average_precision_of_each(head):
  one = target("binary", MAKE["binary"])
  x, x_test = features()
  model = {
    "ridge": lambda: sklearn.linear_model.RidgeClassifier(alpha=2.0),
    "logistic": lambda: sklearn.linear_model.LogisticRegression(C=1 / 2.0),
  }[head]
  want = [
    sklearn.metrics.average_precision_score(
      test, model().fit(x, train).decision_function(x_test)
    )
    for train, test in zip(one.train.T, one.test.T, strict=True)
  ]
  got = one.measure(score(head, one))
  assert got == {"ap": pytest.approx(100 * np.mean(want))}


def test_real_ones_are_measured_in_deviations_of_the_training_examples():
  one = target("real", MAKE["real"])
  x, x_test = features()
  train, test = one.train.astype(np.float64), one.test.astype(np.float64)
  mean, std = train.mean(0), train.std(0)
  guess = ridge(x, train, x_test, 2.0)  # in the unit of the attribute
  r = [np.corrcoef(g, y)[0, 1] for g, y in zip(guess.T, test.T, strict=True)]
  got = one.measure(score("ridge", one))
  assert got["r"] == pytest.approx(np.mean(r))
  want = (((guess - test) / std) ** 2).mean()
  assert got["mse"] == pytest.approx(want) and got["mse"] < 0.3
  np.testing.assert_allclose(one.deviations, std)
  # The head is for what is not real.
  np.testing.assert_array_equal(score("logistic", one), score("ridge", one))
  # A guess of the training mean.
  blind = one.measure(np.zeros_like(test))
  assert blind["r"] == 0
  assert blind["mse"] == pytest.approx((((test - mean) / std) ** 2).mean())


def test_logistic_regression_of_classes_that_training_lacks():
  x, x_test = features()
  labels = np.where(x[:, 0] > 0, 3, 1)
  fit = functools.partial(probes.logistic, x, penalty=1.0)
  scores = fit(labels, classes=5).scores(x_test)
  assert set(scores.argmax(1)) == {1, 3}
  assert np.isneginf(scores[:, [0, 2, 4]]).all()
  truth = np.where(x_test[:, 0] > 0, 3, 1)
  assert (scores.argmax(1) == truth).mean() > 0.9
  same = fit(0 * labels, classes=2).scores(x_test)
  assert (same.argmax(1) == 0).all()


def test_a_probe_of_features_as_they_are():
  x, x_test = features()
  mean, std = x.mean(0), x.std(0) + 0.5
  linear = probes.fit(
    "ridge", target("real", MAKE["real"]), train=(x - mean) / std, penalty=2.0
  )
  np.testing.assert_allclose(
    linear.unscaled(mean, std).scores(x_test),
    linear.scores((x_test - mean) / std),
  )


def test_columns_have_names():
  name = lambda kind, train, test: probes.Target(
    name="it", kind=kind, train=np.array(train), test=np.array(test)
  ).names()
  assert name("real", [[0.5]], [[0.1]]) == ["it"]
  assert name("binary", [[0, 1]], [[1, 1]]) == ["it/0", "it/1"]
  assert name("classes", [[0], [1]], [[2]]) == ["it=0", "it=1", "it=2"]
  both = ["it/0=0", "it/0=1", "it/1=0", "it/1=1"]
  assert name("classes", [[0, 1]], [[1, 0]]) == both


def test_an_attribute_that_no_test_example_has_is_left_out():
  one = target("binary", MAKE["binary"])
  half = probes.Target(
    name="it",
    kind="binary",
    train=one.train,
    test=one.test * np.array([1, 0]),
  )
  scores = score("ridge", half)
  first = sklearn.metrics.average_precision_score(half.test[:, 0], scores[:, 0])
  assert half.measure(scores)["ap"] == pytest.approx(100 * first)
  none = probes.Target(
    name="it", kind="binary", train=one.train, test=0 * one.test
  )
  assert np.isnan(none.measure(scores)["ap"])


@pytest.mark.parametrize(
  ("kind", "value", "word"),
  [
    ("classes", -1, "whole numbers from 0"),
    ("classes", 0.5, "whole numbers from 0"),
    ("binary", 2, "0 and 1"),
    ("real", np.nan, "finite"),
  ],
)
def test_values_must_be_of_their_kind(kind, value, word):
  right = target(kind, MAKE[kind], "smile")
  right.check()
  test = right.test.astype(np.float64)
  test[3, 1] = value
  wrong = probes.Target(name="smile", kind=kind, train=right.train, test=test)
  with pytest.raises(errors.UserError, match="smile") as caught:
    wrong.check()
  assert word in str(caught.value)
  assert caught.value.key == f"evals.<name>.{kind}"
