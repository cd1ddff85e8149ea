import dataclasses
import types

import evalkit
import numpy as np
import phrases
import pytest

from jmim.core import discovery
from jmim.core import errors
from jmim.evals import knn
from jmim.evals import probe
from jmim.evals.lib import base


def test_every_file_of_the_folder_is_an_evaluator():
  names = base.names()
  assert {"knn", "fid", "loss"} < set(names) and "lib" not in names
  for name in names:
    cls = discovery.find_evaluator(name)
    assert issubclass(cls, base.Evaluator) and cls is not base.Evaluator
    assert cls.__module__ == f"jmim.evals.{name}"


@pytest.mark.parametrize("name", ["knm", "os.path", "", "lib"])
def test_what_is_no_evaluator_is_a_key_error(name):
  with pytest.raises(KeyError):
    discovery.find_evaluator(name)


@pytest.mark.parametrize("name", base.names())
def test_every_field_is_documented_by_a_phrase_that_stands_alone(name):
  fields = dataclasses.fields(discovery.find_evaluator(name))
  docs = {f.name: f.metadata["doc"] for f in fields}
  assert not phrases.leaning(docs)
  assert not [doc for doc in docs.values() if doc.startswith("the ")]


@pytest.mark.parametrize("name", base.names())
def test_it_says_which_outputs_it_will_ask_for(name):
  for output in discovery.find_evaluator(name)().needs():
    assert output and "/" not in output


def test_an_entry_of_a_dict_needs_the_dict():
  assert base.Evaluator(predict="layers/block_03").needs() == ("layers",)


def blobs(seed=0, n=200):
  rng = np.random.default_rng(seed)
  labels = rng.integers(0, 3, n)
  centres = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0]])
  return centres[labels] + rng.normal(size=(n, 3)), labels


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
    fitted_on=lambda split: context,
    devices=types.SimpleNamespace(mesh=None),
  )
  made = kind.Evaluator(
    train_limit=50, limit=0, **({"k": (5,)} if kind is knn else {})
  )
  values = evalkit.numbers(made, context)
  lines = {f"{p}{key}" for p in ("", "untrained_")}
  assert set(values) - {"examples"} == (
    lines | {f"pixels_{key}"} if name == "image" else lines
  )
  assert ("features", "train", 50, "untrained") in asked
  assert ("features", "eval", None, "raw") in asked


@pytest.mark.parametrize(
  "k, fine", [((1, 5), True), ((), False), ((0,), False)]
)
def test_numbers_of_answers_are_at_least_one(k, fine):
  if fine:
    base.check_answers(k, "evals.x.k")
  else:
    with pytest.raises(errors.UserError, match="evals.x.k"):
      base.check_answers(k, "evals.x.k")
