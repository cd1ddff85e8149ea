"""MAE's own file: layouts, fixed positions, and files without a decoder."""

import kit
import numpy as np
import pytest

from jmim.core import errors
from jmim.nn import posemb


@pytest.fixture(scope="module")
def written():
  return kit.check("mae", kit.tiny("mim.mae"))


def test_a_decoder_without_blocks_has_none_there():
  made = kit.check("mae", kit.tiny("mim.mae", decoder_depth=0))
  assert not [n for n in made.theirs if n.startswith("decoder_blocks.")]


def test_colormae_has_the_same_names(written):
  other = kit.check("mae", kit.tiny("mim.colormae"))
  assert other.theirs.keys() == written.theirs.keys()


def test_patches_are_a_convolution_there(written):
  conv = written.theirs["patch_embed.proj.weight"]  # [d, c, row, column]
  ours = written.ours["params/main/encoder/patch_embed/proj/kernel"]
  p = conv.shape[-1]
  np.testing.assert_array_equal(conv[5, 2, 1, 3], ours[(p + 3) * 3 + 2, 5])


def test_kernels_are_transposed_layer_by_layer(written):
  ours = written.ours["params/main/encoder/blocks/layers/mlp/fc1/kernel"]
  theirs = written.theirs["blocks.1.mlp.fc1.weight"]
  np.testing.assert_array_equal(theirs, ours[1].T)


def test_positions_are_computed_and_written(written):
  method = written.method
  for name, width in (("pos_embed", 32), ("decoder_pos_embed", 16)):
    rows = posemb.sincos_2d(width, method.grid, "xy", prefix=1)
    np.testing.assert_array_equal(written.theirs[name][0], rows)
    assert not written.theirs[name][0, 0].any()  # cls has none
  other = written.theirs | {"pos_embed": written.theirs["pos_embed"] + 1e-3}
  made, _ = kit.load(written)
  made.weights.entries["pos_embed"] = kit.weights(other).entries["pos_embed"]
  with pytest.raises(errors.UserError, match="pos_embed: values differ"):
    dict(made.leaves())


def test_a_file_without_the_decoder_leaves_it_fresh(written):
  decoder = ("decoder", "mask_token")
  part = {n: x for n, x in written.theirs.items() if not n.startswith(decoder)}
  made, leaves = kit.load(written, part)
  assert {n.split("/")[2] for n in made.fresh} == {"decoder"}
  assert {n.split("/")[2] for n in leaves} == {"encoder"}
  part["decoder_norm.bias"] = written.theirs["decoder_norm.bias"]
  with pytest.raises(errors.UserError, match="missing: decoder_norm.weight"):
    kit.load(written, part)


def test_the_head_of_a_fine_tuned_file_is_ignored(written):
  more = {"head.bias": np.zeros(3), "fc_norm.weight": np.ones(32)}
  made, _ = kit.load(written, written.theirs | more)
  assert made.ignored == sorted(more)


def test_a_fine_tuned_classifier_learns_its_positions():
  made = kit.check("mae_finetuned", kit.tiny("supervised.finetune"))
  ours = made.ours["params/main/encoder/pos_embed"]
  np.testing.assert_array_equal(made.theirs["pos_embed"], ours)
  assert "norm.weight" not in made.theirs  # "fc_norm" comes after the mean
  np.testing.assert_array_equal(
    made.theirs["head.weight"], made.ours["params/main/head/head/kernel"].T
  )
