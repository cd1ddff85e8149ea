"""Tables read in both directions, on rules written out here."""

import jax
import numpy as np
import pytest

from jmim.convert import ops
from jmim.convert import table
from jmim.core import errors
from jmim.core import tree as trees

FIXED = np.arange(6.0).reshape(2, 3)
RULES = [
  table.Rule(
    theirs="b.{i}.fc.weight", ours="blocks/layers/fc/kernel", op=ops.LINEAR
  ),
  table.Rule(theirs="b.{i}.fc.bias", ours="blocks/layers/fc/bias"),
  table.Rule(
    theirs=("b.{i}.q.weight", "b.{i}.k.weight"),
    ours="blocks/layers/qk/kernel",
    op=ops.LINEAR,
  ),
  table.Rule(theirs="packed.bias", ours=("q/bias", "k/bias", "v/bias")),
  table.Rule(theirs="c.{i}.emb", ours="emb", copies=3),
  table.Constant(theirs="fixed", value=FIXED),
]


@pytest.fixture
def theirs():
  rng = np.random.default_rng(0)
  draw = lambda *shape: rng.normal(size=shape)
  arrays = {f"b.{i}.fc.weight": draw(3, 4) for i in range(2)}
  arrays |= {f"b.{i}.fc.bias": draw(3) for i in range(2)}
  for name in "qk":
    arrays |= {f"b.{i}.{name}.weight": draw(5, 4) for i in range(2)}
  emb = draw(2)
  arrays |= {f"c.{i}.emb": emb for i in range(3)}
  return arrays | {"packed.bias": np.arange(6), "fixed": FIXED}


def test_layers_are_stacked(theirs):
  ours = table.import_tree(RULES, theirs)["blocks"]["layers"]
  for i in range(2):
    kernel = ours["fc"]["kernel"][i]
    np.testing.assert_array_equal(kernel, theirs[f"b.{i}.fc.weight"].T)
  assert ours["fc"]["bias"].shape == (2, 3)


def test_arrays_side_by_side_are_joined_and_cut(theirs):
  ours = table.import_tree(RULES, theirs)
  kernel = ours["blocks"]["layers"]["qk"]["kernel"]
  np.testing.assert_array_equal(kernel[1, :, :5], theirs["b.1.q.weight"].T)
  np.testing.assert_array_equal(kernel[1, :, 5:], theirs["b.1.k.weight"].T)
  np.testing.assert_array_equal(ours["k"]["bias"], [2, 3])


def test_there_and_back_is_bit_equal(theirs):
  back = table.export_tree(RULES, table.import_tree(RULES, theirs))
  assert back.keys() == theirs.keys()
  for name, array in theirs.items():
    np.testing.assert_array_equal(back[name], array, name)
  without = table.export_tree(
    RULES, table.import_tree(RULES, theirs), constants=False
  )
  assert theirs.keys() - without.keys() == {"fixed"}


@pytest.mark.parametrize("most", [0, 200, 10**9])
def test_pieces_are_the_leaves_whatever_their_size(theirs, most):
  whole = trees.named(table.import_tree(RULES, theirs))
  parts = {}
  for name, layer, array in table.import_pieces(RULES, theirs, most):
    if layer is None:
      parts[name] = array
    else:
      parts.setdefault(name, {})[layer] = array
  assert parts.keys() == whole.keys()
  layered = {n for n, x in parts.items() if isinstance(x, dict)}
  sizes = {n: x.nbytes for n, x in whole.items() if "layers" in n}
  assert layered == {n for n, size in sizes.items() if size > most}
  for name in layered:
    np.testing.assert_array_equal([parts[name][i] for i in (0, 1)], whole[name])


def test_shapes_follow_without_memory():
  big = np.broadcast_to(np.float32(0), (2, 10**6, 10**6))
  rules = RULES[:1]
  like = {"blocks": {"layers": {"fc": {"kernel": big[:, :, :7]}}}}
  assert table.shapes(rules, like) == {
    f"b.{i}.fc.weight": (7, 10**6) for i in range(2)
  }


def rename(arrays):
  arrays["b.1.fc.wait"] = arrays.pop("b.1.fc.weight")


@pytest.mark.parametrize(
  "change, seen",
  [
    (lambda w: w.pop("packed.bias"), r"lack \['packed.bias'\]"),
    (lambda w: w.update(extra=np.zeros(1)), r"unknown \['extra'\]"),
    (lambda w: w.pop("b.1.k.weight"), r"b\.\{i\}\.k"),
    (rename, "b.1.fc.wait"),
    (lambda w: w.update(fixed=FIXED + 1), "fixed: values differ by 1"),
    (lambda w: w.update(fixed=FIXED + 1e-3), "fixed: values differ by 0.001"),
    (lambda w: w.update(fixed=FIXED.T), r"fixed: shape \(3, 2\)"),
    (lambda w: w.update({"c.2.emb": np.zeros(2)}), "c.2.emb: not equal"),
  ],
)
def test_what_does_not_fit_is_named(theirs, change, seen):
  change(theirs)
  with pytest.raises(errors.UserError, match=seen):
    table.import_tree(RULES, theirs)


def test_small_differences_of_a_constant_are_rounding(theirs):
  found = table.import_tree(RULES, theirs | {"fixed": FIXED + 1e-6})
  expected = table.import_tree(RULES, theirs)
  jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_leaves_and_rules_must_be_the_same(theirs):
  ours = table.import_tree(RULES, theirs)
  with pytest.raises(errors.UserError, match="stray"):
    table.export_tree(RULES, {**ours, "stray": np.zeros(2)})
  del ours["emb"]
  with pytest.raises(errors.UserError, match="emb"):
    table.export_tree(RULES, ours)


def test_prefixes_come_before_all_names():
  placed = table.placed(RULES, "model.", "params/")
  assert placed[2].theirs == ("model.b.{i}.q.weight", "model.b.{i}.k.weight")
  assert placed[3].ours == ("params/q/bias", "params/k/bias", "params/v/bias")
  assert placed[4].copies == 3
  # A constant without a leaf of ours has none afterwards.
  assert placed[5].theirs == "model.fixed" and placed[5].ours == ""


def test_arrays_side_by_side_may_differ_in_size():
  rule = table.Rule(theirs=("a", "b"), ours="t", axis=0, sizes=(3, 1))
  theirs = {"a": np.arange(6.0).reshape(3, 2), "b": np.full((1, 2), 9.0)}
  ours = table.import_tree([rule], theirs)
  np.testing.assert_array_equal(ours["t"][3], [9.0, 9.0])
  back = table.export_tree([rule], ours)
  for name, x in theirs.items():
    np.testing.assert_array_equal(back[name], x)
