import jax
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import mae as convert
from jmim.core import errors
from jmim.core import tree as trees
from jmim.methods.mim import mae


@pytest.fixture(scope="module")
def model():
  method = mae.MAE.tiny()
  batch = {"image": np.zeros((1, method.size, method.size, 3), np.float32)}
  params = jax.jit(method.init)(jax.random.key(0), batch)[0]["main"]
  return convert.full(method), params


def test_there_and_back_is_bit_equal(model):
  names, params = model
  back = table.import_tree(names, table.export_tree(names, params))
  assert trees.named(back).keys() == trees.named(params).keys()
  for name, leaf in trees.named(params).items():
    np.testing.assert_array_equal(trees.named(back)[name], leaf, name)


def test_their_layout_is_torchs(model):
  names, params = model
  theirs = table.export_tree(names, params)
  first = params["encoder"]["blocks"]["layers"]["mlp"]["fc1"]["kernel"][1]
  np.testing.assert_array_equal(theirs["blocks.1.mlp.fc1.weight"], first.T)
  conv = theirs["patch_embed.proj.weight"]  # [d, c, row, column]
  ours = params["encoder"]["patch_embed"]["proj"]["kernel"]
  p = conv.shape[-1]
  np.testing.assert_array_equal(conv[5, 2, 1, 3], ours[(p + 3) * 3 + 2, 5])


@pytest.mark.parametrize(
  "change, seen",
  [
    (lambda w: w.pop("norm.bias"), "norm.bias"),
    (lambda w: w.update(extra=np.zeros(1)), "extra"),
    (lambda w: w.update(pos_embed=w["pos_embed"] + 1), "pos_embed"),
  ],
)
def test_what_does_not_fit_is_named(model, change, seen):
  names, params = model
  theirs = table.export_tree(names, params)
  change(theirs)
  with pytest.raises(errors.UserError, match=seen):
    table.import_tree(names, theirs)


def test_a_leaf_without_a_rule_is_named(model):
  names, params = model
  with pytest.raises(errors.UserError, match="stray"):
    table.export_tree(names, {**params, "stray": np.zeros(2)})


def test_arrays_side_by_side_are_joined_and_cut():
  names = [
    table.Rule(
      theirs=("b.{i}.q.weight", "b.{i}.k.weight"),
      ours="blocks/layers/qk/kernel",
      op=table.LINEAR,
    ),
    table.Rule(theirs="packed.bias", ours=("q/bias", "k/bias", "v/bias")),
  ]
  rng = np.random.default_rng(0)
  theirs = {
    f"b.{i}.{n}.weight": rng.normal(size=(3, 4)) for i in range(2) for n in "qk"
  } | {"packed.bias": np.arange(6)}
  ours = table.import_tree(names, theirs)
  kernel = ours["blocks"]["layers"]["qk"]["kernel"]
  np.testing.assert_array_equal(kernel[1, :, :3], theirs["b.1.q.weight"].T)
  np.testing.assert_array_equal(kernel[1, :, 3:], theirs["b.1.k.weight"].T)
  np.testing.assert_array_equal(ours["k"]["bias"], [2, 3])
  back = table.export_tree(names, ours)
  assert back.keys() == theirs.keys()
  for name, array in theirs.items():
    np.testing.assert_array_equal(back[name], array)
  del theirs["b.1.k.weight"]
  with pytest.raises(errors.UserError, match=r"b\.\{i\}\.k"):
    table.import_tree(names, theirs)
