"""CropMAE: torch's attention, one matrix of q, k and v."""

import kit
import numpy as np
import pytest

LAYERS = "params/main/decoder/blocks/layers"


@pytest.fixture(scope="module")
def written():
  return kit.check("cropmae", kit.tiny("mim.cropmae"))


@pytest.mark.parametrize("leaf, part", [("kernel", "weight"), ("bias", "bias")])
def test_cross_attention_is_cut_into_q_k_v(written, leaf, part):
  theirs = written.theirs[f"decoder_blocks.0.multihead_attn.in_proj_{part}"]
  cut = np.split(theirs, 3)
  for name, array in zip("qkv", cut, strict=True):
    ours = written.ours[f"{LAYERS}/cross/{name}/{leaf}"][0]
    np.testing.assert_array_equal(array, ours.T)


def test_self_attention_stays_one(written):
  theirs = written.theirs["decoder_blocks.0.self_attn.in_proj_weight"]
  ours = written.ours[f"{LAYERS}/attn/qkv/kernel"][0]
  np.testing.assert_array_equal(theirs, ours.T)


def test_a_block_has_three_norms(written):
  for i in (1, 2, 3):
    np.testing.assert_array_equal(
      written.theirs[f"decoder_blocks.0.norm{i}.weight"],
      written.ours[f"{LAYERS}/norm{i}/scale"][0],
    )
