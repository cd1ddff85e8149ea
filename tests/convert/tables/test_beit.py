"""BEiT's authors: tables by relative position, in each block or one."""

import kit
import numpy as np
import pytest

from jmim.convert.tables import beit as tables
from jmim.core import errors

CASES = {
  "block": kit.BEIT,
  "shared": kit.BEIT | dict(relative="shared"),
  "mean": kit.BEIT | kit.BEIT_MEAN | dict(positions="learned", relative="none"),
  "unbiased": kit.BEIT | dict(qkv_bias=False, layer_scale=0.0),
}


@pytest.mark.parametrize("case", CASES)
def test_names_and_arrays(case):
  written = kit.check("beit", kit.tiny("vit", **CASES[case]))
  assert ("fc_norm.weight" in written.theirs) == (case == "mean")
  assert ("norm.weight" in written.theirs) == (case != "mean")
  assert ("blocks.0.attn.q_bias" in written.theirs) == (case != "unbiased")


def test_each_block_has_its_table_and_the_same_indices():
  written = kit.export("beit", kit.tiny("vit", **kit.BEIT))
  name = "blocks.1.attn.relative_position_bias_table"
  ours = "params/main/encoder/blocks/layers/relative/table"
  np.testing.assert_array_equal(written.theirs[name], written.ours[ours][1])
  index = [
    written.theirs[f"blocks.{i}.attn.relative_position_index"] for i in (0, 1)
  ]
  np.testing.assert_array_equal(*index)
  # (2 * 4 - 1)^2 offsets of patches, then cls to them, from them, to itself.
  assert written.theirs[name].shape == (7 * 7 + 3, 4)
  assert index[0][0, 1] == 49 and index[0][1, 0] == 50 and index[0][0, 0] == 51


@pytest.mark.parametrize(
  "change, seen",
  [
    (dict(positions="sincos"), "positions='sincos'"),
    (dict(act="swiglu"), "swiglu"),
    (dict(pool="cls_mean"), "pools"),
    (dict(head_norm=True), "pools"),
    (dict(key_bias=True), "key_bias=True"),
  ],
)
def test_what_it_cannot_be(change, seen):
  method = kit.tiny("vit", **kit.BEIT | change)
  family = tables.FAMILIES["beit"]
  assert seen in family.objection("supervised.backbone", method)


def test_both_kinds_of_tables_are_refused():
  assert tables.relative(True, False) == "block"
  assert tables.relative(False, True) == "shared"
  assert tables.relative(False, False) == "none"
  with pytest.raises(errors.UserError, match="both relative position biases"):
    tables.relative(True, True)
