import dataclasses

import jax
import numpy as np

from jmim.core import state as states
from jmim.core import tree as trees

TREE = {"a": {"layers": {"kernel": 1}, "b": (2, [3])}, "c": 4}


def test_names_join_keys_indices_and_attributes():
  assert trees.named(TREE) == {
    "a/b/0": 2,
    "a/b/1/0": 3,
    "a/layers/kernel": 1,
    "c": 4,
  }
  names = [f.name for f in dataclasses.fields(states.State)]
  state = states.State(**{name: i for i, name in enumerate(names)})
  assert trees.named(state) == {name: i for i, name in enumerate(names)}


def test_named_is_in_tree_order():
  assert list(trees.named(TREE).values()) == jax.tree.leaves(TREE)


def test_nested_is_the_inverse_of_named():
  tree = {"a": {"layers": {"kernel": 1}, "b": 2}, "c": 4}
  assert trees.nested(trees.named(tree)) == tree
  assert trees.nested({}) == {}


def test_map_named_gives_the_name_and_all_leaves():
  twice = jax.tree.map(lambda x: 2 * x, TREE)
  found = trees.map_named(lambda n, x, y: (n, x + y), TREE, twice)
  assert found["a"]["b"][1][0] == ("a/b/1/0", 9)
  assert found["c"] == ("c", 12)


def test_stacked_means_a_path_component_of_that_name():
  assert trees.stacked("encoder/blocks/layers/attn/kernel")
  assert not trees.stacked("encoder/layers_norm/kernel")
  assert not trees.stacked("kernel")


def test_patterns_are_searched_and_can_be_anchored():
  assert trees.matches(r"bias$", "main/dense/bias")
  assert not trees.matches(r"^bias", "main/dense/bias")
  assert trees.matches("", np.str_("anything"))


def test_folders_that_are_whole_are_named_once():
  names = ["a/x/1", "a/x/2", "a/y", "a/xx", "b/z"]
  found = trees.folded(["a/x/1", "a/x/2", "b/z"], names)
  assert found == {"a/x": 2, "b/z": 1}
  assert list(found) == ["a/x", "b/z"]
  assert trees.folded(names, names) == {"a": 4, "b/z": 1}
  assert trees.folded([], names) == {}
