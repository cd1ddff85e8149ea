import types

import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.data import sources
from jmim.data import splits
from jmim.evals.lib import stored


def test_annotations_are_of_the_examples_asked_for():
  depth = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
  source = sources.ArraySource(
    {"image": np.zeros((3, 2, 2, 3)), "depth": depth}
  )
  context = types.SimpleNamespace(sources={"eval": source})
  got = stored.annotation(context, "eval", np.array([2, 0]), "depth")
  np.testing.assert_array_equal(got, depth[[2, 0]])
  with pytest.raises(errors.UserError, match="image, depth"):
    stored.annotation(context, "eval", [0], "semantic")


def test_numbers_of_a_name_are_a_row_whatever_they_are_stored_as():
  rows = [
    {"a": i, "v": [i, 2 * i], "d": {"x": i > 0, "y": {"z": -i}}, "t": b"no"}
    for i in range(3)
  ]
  context = types.SimpleNamespace(sources={"train": rows})
  names = dict.fromkeys(["a", "v", "d/x", "d/y/z"], "evals.mine.real")
  found = stored.numbers(context, "train", np.array([2, 1]), names)
  want = {"a": [[2], [1]], "v": [[2, 4], [1, 2]], "d/x": [[1], [1]]}
  for name, values in (want | {"d/y/z": [[-2], [-1]]}).items():
    np.testing.assert_array_equal(found[name], values)
  assert stored.names(rows[0]) == ["a", "v", "d", "t", "d/x", "d/y", "d/y/z"]
  for name, word in (("t", "numbers"), ("d/q", "d/x"), ("a/b", "no 'a/b'")):
    with pytest.raises(errors.UserError, match=word) as caught:
      stored.vector(rows[0], name, "evals.mine.real")
    assert caught.value.key == "evals.mine.real"
  with pytest.raises(errors.UserError) as caught:
    stored.numbers(context, "train", [0], {"q": "evals.mine.id"})
  assert caught.value.key == "evals.mine.id"
  flags = {"d": {"x": True, "y": False}}
  np.testing.assert_array_equal(stored.vector(flags, "d"), [1, 0])


def test_another_data_set_has_the_splits_train_and_test(monkeypatch):
  context, asked = evalkit.context(), []

  def build(name, split, data_dir):
    asked.append((name, split, data_dir))
    return evalkit.source(4, 0)

  monkeypatch.setattr(sources, "build", build)
  assert stored.elsewhere(context, "", "there") is context
  other = stored.elsewhere(context, "shapes/small", "there")
  assert asked == [
    ("shapes/small", "train", "there"),
    ("shapes/small", "test", "there"),
  ]
  assert len(other.sources["eval"]) == 4 and len(context.sources["eval"]) == 21


def test_the_folder_of_a_data_set_is_known_through_what_is_made_of_it():
  whole = sources.ArraySource({"label": np.arange(4)})
  part = splits.Subset(splits.Subset(whole, [0, 1, 2]), [1])
  assert stored.folder_of(part) == stored.folder_of(None) == ""
  whole.data_dir = "there"
  assert stored.folder_of(part) == stored.folder_of(whole) == "there"


def test_ids_of_several_numbers_become_one_where_they_are_equal():
  query, gallery = (
    np.array([[1, 2], [3, 4]]),
    np.array([[3, 4], [1, 5], [1, 2]]),
  )
  asked, there = stored.as_one(query, gallery)
  same = asked[:, None] == there
  np.testing.assert_array_equal(same, [[0, 0, 1], [1, 0, 0]])
  one = stored.as_one(np.array([[7], [9]]), np.array([[9]]))
  np.testing.assert_array_equal(one[0], [7, 9])
  with pytest.raises(errors.UserError, match="2 numbers .* 1 in") as caught:
    stored.as_one(query, gallery[:, :1])
  assert caught.value.key == "evals.<name>.gallery_id"
