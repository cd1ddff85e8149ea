"""No number is made of outputs that are not finite."""

import functools
import types

import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.evals import accuracy
from jmim.evals import attentive
from jmim.evals import fewshot
from jmim.evals import knn
from jmim.evals import linear
from jmim.evals import probe
from jmim.evals.lib import context as contexts
from jmim.evals.lib import finite

EVALUATORS = [
  knn.Evaluator(k=(1,), reference=False),
  probe.Evaluator(reference=False),
  probe.Evaluator(reference=False, head="logistic"),
  fewshot.Evaluator(shots=(1,), seeds=1),
  accuracy.Evaluator(),
]


class _Context(contexts.Context):
  """Outputs that are given, of examples of two classes."""

  def __init__(self, **outputs):
    self._outputs, self._memo, self._forever = outputs, {}, {}
    self.sources = {split: object() for split in outputs}
    self.method = types.SimpleNamespace(inputs=dict)
    self.devices = types.SimpleNamespace(mesh=None)

  def rows(self, name, split, limit, weights, entry="index"):
    del name, limit, weights, entry
    rows = self._outputs[split]
    return rows, np.arange(len(rows)) % 2


def _context(train, test):
  return _Context(train=train, eval=test)


@pytest.mark.parametrize("evaluator", EVALUATORS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("split", ["train", "eval"])
def test_no_evaluator_makes_a_number_of_them(evaluator, value, split):
  rng = np.random.default_rng(0)
  rows = {k: rng.normal(size=(6, 3)) for k in ("train", "eval")}
  whole = _context(rows["train"], rows["eval"])
  assert np.isfinite(list(evalkit.numbers(evaluator, whole).values())).all()
  rows[split][4, 1] = value
  context = _context(rows["train"], rows["eval"])
  if split == "train" and isinstance(evaluator, accuracy.Evaluator):
    assert dict(evaluator.run(context))  # it reads no training examples
    return
  with pytest.raises(finite.NotComputed, match="1 of 6"):
    dict(evaluator.run(context))


@pytest.mark.parametrize(
  "evaluator",
  [
    linear.Evaluator(predict=("features",), epochs=1, warmup_epochs=0.0),
    attentive.Evaluator(epochs=1, warmup_epochs=0.0),
  ],
)
def test_nor_does_a_probe_that_is_trained(evaluator):
  broken = functools.partial(evalkit.Everything, gain=np.nan)
  with pytest.raises(finite.NotComputed):
    dict(evaluator.run(evalkit.context(model=broken)))


def test_finite_rows_of_any_shape_pass():
  finite.check(np.zeros((2, 3)), np.zeros((2, 3, 4)), np.zeros(2))
  with pytest.raises(errors.UserError, match="2 of 3 examples"):
    finite.check(np.array([[np.nan, 1], [0, 0], [-np.inf, np.nan]]))
