import types

import evalkit
import numpy as np
import pytest
import sklearn.metrics

from jmim.evals import accuracy


def test_a_classifiers_logits_by_hand():
  context = evalkit.context()
  logits, labels = context.features("logits", "eval", None, "raw")
  assert len(labels) == 21
  odds = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
  values = dict(accuracy.Evaluator().run(context))
  np.testing.assert_allclose(
    values["top1"], 100 * (odds.argmax(1) == labels).mean()
  )
  np.testing.assert_allclose(
    values["nll"], -np.log(odds[np.arange(21), labels]).mean(), rtol=1e-5
  )
  assert "top5" not in values and values["examples"] == 21


def test_top_five_and_likelihood_equal_scikit_learn():
  rng = np.random.default_rng(0)
  logits, labels = rng.normal(size=(200, 9)), rng.integers(0, 9, 200)
  context = types.SimpleNamespace(features=lambda *args: (logits, labels))
  values = dict(accuracy.Evaluator().run(context))
  top5 = sklearn.metrics.top_k_accuracy_score(labels, logits, k=5)
  assert values["top5"] == pytest.approx(100 * top5)
  odds = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
  assert values["nll"] == pytest.approx(sklearn.metrics.log_loss(labels, odds))
