"""MCMAE: convolutions of side 1 and depth-wise ones, three stages of blocks."""

import dataclasses

import kit
import numpy as np
import pytest

from jmim.convert import families
from jmim.nn import sizes

PRE, FINE = "mcmae", "mcmae_finetuned"


@pytest.fixture(scope="module")
def written():
  return kit.check(PRE, kit.tiny("distill.mr_mae"))


def test_convolutions_of_side_1_and_depth_wise_ones(written):
  ours, theirs = "params/main/encoder/stage2/blocks/layers", "blocks2.0"
  point = written.theirs[f"{theirs}.conv1.weight"]
  assert point.shape == (16, 16, 1, 1)
  np.testing.assert_array_equal(
    point[:, :, 0, 0].T, written.ours[f"{ours}/conv1/kernel"][0]
  )
  deep = written.theirs[f"{theirs}.attn.weight"]
  assert deep.shape == (16, 1, 5, 5)
  np.testing.assert_array_equal(
    deep[3, 0], written.ours[f"{ours}/depthwise/kernel"][0, :, :, 0, 3]
  )


def test_shortcuts_have_the_stride_of_their_stage(written):
  shapes = {
    n: x.shape for n, x in written.theirs.items() if n.endswith("code.weight")
  }
  # Strides 2, 2, 1.
  assert shapes == {
    "stage1_output_decode.weight": (32, 8, 2, 2),
    "stage2_output_decode.weight": (32, 16, 1, 1),
  }


def test_positions_are_checked_and_have_no_class_token(written):
  assert written.theirs["pos_embed"].shape == (1, 16, 32)
  assert "cls_token" not in written.theirs
  assert not any("mimic" in n or "fusion" in n for n in written.theirs)


def test_a_file_may_lack_the_decoder_and_have_a_classifier(written):
  theirs = {n: x for n, x in written.theirs.items() if "decoder" not in n}
  del theirs["mask_token"]
  made, leaves = kit.load(written, theirs | {"head.weight": np.zeros((3, 32))})
  assert made.ignored == ["head.weight"]
  assert all("/decoder/" not in name for name in leaves)
  assert any("/encoder/" in name for name in leaves)


def test_a_plain_vit_is_another_family():
  dims = sizes.Dims(variant="Ti/4", width=32, heads=4)
  method = dataclasses.replace(kit.tiny("distill.mr_mae"), dims=dims)
  why = families.find(PRE).objection("distill.mr_mae", method)
  assert "dims.type" in why


def test_a_classifier_has_trained_positions_and_no_shortcuts():
  written = kit.check(FINE, kit.tiny("supervised.mcmae"))
  assert written.theirs["pos_embed"].shape == (1, 16, 32)
  assert not any("output_decode" in n for n in written.theirs)
  assert {"fc_norm.weight", "head.bias"} <= written.theirs.keys()
  assert "norm.weight" not in written.theirs
