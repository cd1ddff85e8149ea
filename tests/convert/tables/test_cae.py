"""CAE: BEiT's blocks, cross-attention without a bias of k, unequal widths."""

import kit
import numpy as np
import pytest

from jmim.nn import posemb

BLOCK = "regresser.regressor_blocks.1"


@pytest.fixture(scope="module")
def written():
  return kit.check("cae", kit.tiny("mim.cae"))


def test_no_attention_has_a_bias_of_k(written):
  names = set(written.theirs)
  assert {f"{BLOCK}.cross_attn.{n}_bias" for n in "qv"} < names
  assert f"{BLOCK}.cross_attn.k_bias" not in names
  assert "encoder.blocks.0.attn.q_bias" in names
  assert not [n for n in names if n.endswith("qkv.bias")]


def test_each_input_of_cross_attention_has_its_norm(written):
  layers = "params/main/context/regressor/blocks/layers"
  for name in "qkv":
    np.testing.assert_array_equal(
      written.theirs[f"{BLOCK}.norm1_{name}.weight"],
      written.ours[f"{layers}/norm_{name}/scale"][1],
    )


def test_positions_are_row_first(written):
  for name, width in (("encoder.pos_embed", 32), ("rd_pos_embed", 16)):
    rows = posemb.sincos_2d(width, (4, 4), "yx", prefix=1)
    np.testing.assert_array_equal(written.theirs[name][0], rows)


def test_layer_scales_are_gammas(written):
  gamma = "params/main/context/regressor/blocks/layers/ls2/gamma"
  np.testing.assert_array_equal(
    written.theirs[f"{BLOCK}.gamma_2_cross"], written.ours[gamma][1]
  )
  none = kit.check(
    "cae", kit.tiny("mim.cae", layer_scale=0.0, decoder_scale=0.0)
  )
  assert not [n for n in none.theirs if "gamma" in n]


def test_equal_widths_need_no_bridge(written):
  equal = kit.check("cae", kit.tiny("mim.cae", decoder_width=0))
  bridge = {n for n in written.theirs if n.startswith("encoder_to_regresser")}
  assert len(bridge) == 4
  assert written.theirs.keys() - equal.theirs.keys() == bridge
