import evalkit
import numpy as np
import pytest

from jmim.evals import judged
from jmim.evals.lib import judges


def run(context, **fields):
  return dict(judged.Evaluator(samples=40, **fields).run(context))


@pytest.fixture(scope="module")
def context():
  return evalkit.context()


def test_scores_are_those_of_the_samples_and_of_the_split(context):
  found = run(context, penalty=2.0)
  made, asked, key = [], [], 0
  while sum(map(len, made)) < 40:
    for batch in context.batches("eval", 21):
      out = context.apply("sample", batch, "raw", key=key)
      made.append(context.pixels(out)[batch["valid"]])
      asked.append(batch["label"][batch["valid"]])
      key += 1
  made, asked = (np.concatenate(x)[:40] for x in (made, asked))
  train, test = (context.sources[name] for name in ("train", "eval"))
  label = lambda data: np.array([data[i]["label"] for i in range(len(data))])
  judge = judges.linear(evalkit.images(train), label(train), 2.0, "k")
  expected = judges.scores(
    judge, made, asked, evalkit.images(test), labels=label(test)
  )
  for name, value in expected.items():
    assert found[name] == pytest.approx(value, rel=1e-4), name
  assert found["samples"] == 40
  assert found["protocol"] == {"judge": "ridge on pixels, penalty 2"}


def test_limits_are_obeyed(context):
  few, all_of = run(context, limit=8), run(context)
  assert few["spread_real"] != all_of["spread_real"]
  assert run(context, train_limit=10) != all_of
  assert run(context) == all_of


def test_samples_of_examples_have_their_labels(context, monkeypatch):
  asked = run(context)["recognised"]
  own = context.method.inputs()
  blind = {name: x for name, x in own.items() if name != "label"}
  monkeypatch.setattr(type(context.method), "inputs", lambda self: blind)
  assert "recognised" not in run(context)
  assert run(context, labelled=True)["recognised"] == asked


def test_a_classifier_of_a_run_judges(context, tmp_path):
  weights = context.weights("raw")
  evalkit.workdir(tmp_path / "run", "evalkit", weights.params, size=4)
  found = run(context, classifier=str(tmp_path / "run"))
  assert found["protocol"]["judge"].startswith("evalkit of ")
  assert found["recognised_real"] != run(context)["recognised_real"]
