"""NViST: norms that are held and not applied; a table that is stored."""

import kit
import numpy as np
import pytest


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_names(depth):
  m = kit.tiny("scene.nvist", decoder_dims=dict(depth=depth))
  written = kit.check("nvist", m)
  for i in range(depth):
    ours = written.ours[f"params/main/decoder/block_{i}/attn/q/kernel"]
    theirs = written.theirs[f"decoder.blocks.{i}.attn.q.weight"]
    np.testing.assert_array_equal(theirs, ours.T)
    for name, plain in (("norm_k.weight", 1), ("norm_v.bias", 0)):
      norm = written.theirs[f"decoder.blocks.{i}.{name}"]
      assert (norm == plain).all() == bool(i % 2)
  table = written.ours["params/main/encoder/pos_embed"]
  np.testing.assert_array_equal(written.theirs["encoder.pos_embed"], table)


def test_norms_that_are_not_applied_may_be_anything():
  written = kit.check("nvist", kit.tiny("scene.nvist"))
  moved = dict(written.theirs)
  for name in ("encoder.norm.weight", "decoder.blocks.1.norm_v.bias"):
    moved[name] = moved[name] + 3
  _, found = kit.load(written, moved)
  for name, array in written.ours.items():
    np.testing.assert_array_equal(found[name], array)


def test_a_decoder_that_is_told_nothing_is_in_no_such_file():
  m = kit.tiny("scene.nvist", planes=dict(told=False))
  family = kit.families.find("nvist")
  assert "planes.told" in family.objection("scene.nvist", m)
