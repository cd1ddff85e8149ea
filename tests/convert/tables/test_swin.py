"""The authors' Swin: stages of their own, merging after a stage."""

import kit
import numpy as np
import pytest

from jmim.convert.tables import swin as tables


@pytest.fixture(scope="module")
def written():
  return kit.check("swin", kit.tiny("supervised.swin"))


def test_names_without_the_bias_of_qkv():
  plain = kit.check("swin", kit.tiny("supervised.swin", qkv_bias=False))
  assert not [n for n in plain.theirs if n.endswith("qkv.bias")]


def test_each_stage_is_a_stack_of_its_own(written):
  depths = written.method.encoder.size.depths
  for s, depth in enumerate(depths):
    name = f"layers.{s}.blocks.{depth - 1}.attn.qkv.weight"
    ours = f"params/main/encoder/stage{s}/layers/block/attn/qkv/kernel"
    np.testing.assert_array_equal(
      written.theirs[name], written.ours[ours][depth - 1].T
    )
    assert f"layers.{s}.blocks.{depth}.attn.qkv.weight" not in written.theirs


def test_merging_belongs_to_the_stage_before_it(written):
  np.testing.assert_array_equal(
    written.theirs["layers.0.downsample.reduction.weight"],
    written.ours["params/main/encoder/merge0/reduction/kernel"].T,
  )
  model = written.method.encoder
  late = {r.theirs for r in tables.backbone(model, late=1)}
  assert "layers.1.downsample.reduction.weight" in late
  assert "layers.0.downsample.reduction.weight" not in late


def test_what_others_cannot_hold_is_said():
  assert tables.plain(kit.tiny("supervised.swin")) is None
  why = tables.plain(kit.tiny("supervised.swin", patch_norm=False))
  assert "patch_norm" in why
  assert "ViT" in tables.plain(kit.tiny("mim.simmim"))
