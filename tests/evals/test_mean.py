import evalkit
import numpy as np
import pytest

from jmim.evals import mean


def test_the_mean_of_an_output_over_examples():
  context = evalkit.context(batch=8)
  values = dict(mean.Evaluator(predict="nll").run(context))
  nats, _ = context.rows("nll", "eval", None, "raw")
  assert len(nats) == 21 and values["examples"] == 21
  assert values["nll"] == pytest.approx(nats.mean())


def test_every_entry_of_a_dict_has_a_mean():
  parts = [
    ({"a": np.array([1.0, 2.0]), "b": np.array([0.0, 4.0])}, {}),
    ({"a": np.array([6.0]), "b": np.array([2.0])}, {}),
  ]
  values = dict(mean.Evaluator().run(evalkit.stub(parts)))
  assert values == {"a": 3.0, "b": 2.0, "examples": 3}


def test_repeats_draw_anew_and_repeat_the_same_way():
  context = evalkit.context()
  once = dict(mean.Evaluator(predict="noise").run(context))
  twice = dict(mean.Evaluator(predict="noise", repeats=2).run(context))
  assert twice["examples"] == 2 * once["examples"] == 42
  assert twice["noise"] != once["noise"]
  again = dict(mean.Evaluator(predict="noise", repeats=2).run(context))
  assert again == twice
