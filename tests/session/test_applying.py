import appliedkit
import jax
import numpy as np
import pytest

from jmim.core import config as configs
from jmim.core import errors
from jmim.session import applied
from jmim.session import applying


def work(*items):
  config = configs.override(appliedkit.numbers(), items)
  return applying.Work(applied.make(config, appliedkit.find))


def results(made, index, split="eval"):
  rows = [*made.results(split, np.asarray(index), {"count": np.float64(2)})]
  return {n: np.concatenate([r[n] for r in rows]) for n in rows[0]}


@pytest.fixture(scope="module")
def made():
  return work("apply.num=30")


def test_what_is_chosen_of_more_has_what_is_chosen_of_less():
  few, many = applying.chosen(100, 7), applying.chosen(100, 40)
  np.testing.assert_array_equal(many[:7], few)
  assert len(set(many)) == 40 and not (np.sort(many) == np.arange(40)).all()
  everything = applying.chosen(100, 0)
  np.testing.assert_array_equal(np.sort(everything), np.arange(100))
  np.testing.assert_array_equal(everything, applying.chosen(100, 200))


def test_results_are_of_each_example_alone(made):
  index = [20, 3, 11, 7, 28, 0, 9, 5, 13, 2]
  found = results(made, index)
  np.testing.assert_array_equal(found["index"], index)
  np.testing.assert_array_equal(found["many"], 2.0 * (np.array(index) + 1))
  np.testing.assert_array_equal(found["label"], np.array(index) % 10)
  one = results(made, [7])
  np.testing.assert_array_equal(one["noise"][0], found["noise"][3])
  traced = len(made.traces)
  results(made, [4, 5])
  assert len(made.traces) == traced == 1
  # Another split has other draws.
  other = results(made, [7], split="train")
  assert (other["noise"][0] != one["noise"][0]).all()


def test_the_seed_is_that_of_the_draws(made):
  other = work("apply.num=30", "seed=1")
  a, b = results(made, [3])["noise"], results(other, [3])["noise"]
  assert (a != b).all()
  assert jax.random.key_data(applying.key_of(0, "fit")).shape


def test_a_fit_reads_each_of_its_examples_once(made):
  rows = [*work("apply.fit_num=11").rows(11)]
  index = np.concatenate([r["index"] for r in rows])
  assert sorted(index) == list(range(11))


def test_results_must_be_finite(made):
  with pytest.raises(errors.UserError, match="2 of 2 results") as e:
    [*made.results("eval", np.array([1, 2]), {"count": np.float64("nan")})]
  assert e.value.key == "procedure"


def test_a_model_is_told_no_label_that_is_none(made, monkeypatch):
  source = made.parts.sources["eval"]
  read = type(source).__getitem__
  none = lambda self, i: read(self, i) | {"label": np.int32(-1)}
  monkeypatch.setattr(type(source), "__getitem__", none)
  with pytest.raises(errors.UserError, match="without a label") as e:
    results(made, [1, 2])
  assert e.value.key == "data.eval_split"
