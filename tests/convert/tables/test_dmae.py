"""DMAE: MAE's names, projection heads, and a teacher apart."""

import kit
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import dmae as tables

HEADS = "aligned_feature_projection_heads"


def test_a_projection_of_one_layer_has_no_number():
  written = kit.check("dmae", kit.tiny("distill.dmae"))
  np.testing.assert_array_equal(
    written.theirs[f"{HEADS}.0.weight"],
    written.ours["params/main/heads/0/fc1/kernel"].T,
  )


def test_two_layers_are_numbered():
  method = kit.tiny("distill.dmae", projection="mlp-1layer")
  written = kit.check("dmae", method)
  names = {n for n in written.theirs if n.startswith(HEADS)}
  assert names == {
    f"{HEADS}.0.fc{j}.{leaf}" for j in (1, 2) for leaf in ("weight", "bias")
  }


def test_the_teacher_is_an_encoder_of_mae():
  method = kit.tiny("distill.dmae")
  rules = tables.teacher(method)
  encoder = method.teacher_encoder
  names = {r.theirs for r in rules if isinstance(r, table.Rule)}
  assert {"patch_embed.proj.weight", "cls_token", "norm.bias"} < names
  (rows,) = (r.value for r in rules if isinstance(r, table.Constant))
  assert rows.shape == (1, 17, encoder.size.width)


@pytest.mark.parametrize("blocks", [(0,), (0, 1)])
def test_each_pair_of_blocks_has_a_head(blocks):
  method = kit.tiny(
    "distill.dmae", student_blocks=blocks, teacher_blocks=blocks
  )
  written = kit.check("dmae", method)
  heads = {n.split(".")[1] for n in written.theirs if n.startswith(HEADS)}
  assert heads == {str(i) for i in range(len(blocks))}
