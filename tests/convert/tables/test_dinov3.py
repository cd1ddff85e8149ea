"""The authors' DINOv3: no bias of k, fixed periods, SwiGLU of three."""

import kit
import numpy as np
import peers
import pytest

from jmim.convert.tables import dinov3 as tables
from jmim.core import tree as trees

CASES = {
  "plain": kit.DINOV3,
  "gated": kit.DINOV3 | dict(act="swiglu"),
  "unbiased": kit.DINOV3 | dict(qkv_bias=False),
}


@pytest.mark.parametrize("case", CASES)
def test_names_and_arrays(case):
  written = kit.check("dinov3", kit.tiny("vit", **CASES[case]))
  biased = "blocks.0.attn.qkv.bias" in written.theirs
  assert biased == (case != "unbiased")
  assert ("blocks.0.mlp.w2.weight" in written.theirs) == (case == "gated")
  assert "pos_embed" not in written.theirs


def test_the_bias_of_k_is_masked_and_zero():
  written = kit.export("dinov3", kit.tiny("vit", **kit.DINOV3))
  q, k, v = np.split(written.theirs["blocks.1.attn.qkv.bias"], 3)
  attn = "params/main/encoder/blocks/layers/attn"
  np.testing.assert_array_equal(q, written.ours[f"{attn}/q_bias"][1])
  np.testing.assert_array_equal(v, written.ours[f"{attn}/v_bias"][1])
  assert not k.any()
  mask = written.theirs["blocks.1.attn.qkv.bias_mask"]
  np.testing.assert_array_equal(mask, np.repeat([1, 0, 1], 32))


def test_a_bias_of_k_in_a_file_is_not_read():
  theirs = np.arange(6, dtype=np.float32)
  np.testing.assert_array_equal(tables.NO_KEY.to_ours(theirs), [0, 1, 4, 5])


def test_periods_are_a_geometric_row_from_one():
  written = kit.export("dinov3", kit.tiny("vit", **kit.DINOV3, theta=16.0))
  periods = written.theirs["rope_embed.periods"]  # a quarter of a head of 8
  np.testing.assert_allclose(periods, [1, 4])


@pytest.mark.parametrize(
  "change, seen",
  [
    (dict(key_bias=True), "key_bias=True"),
    (dict(registers=0), "registers"),
    (dict(layer_scale=0.0), "LayerScale"),
    (dict(positions="learned"), "positions='learned'"),
  ],
)
def test_what_it_cannot_be(change, seen):
  family = kit.export("dinov3", kit.tiny("vit", **kit.DINOV3)).family
  method = kit.tiny("vit", **kit.DINOV3 | change)
  assert seen in family.objection("supervised.backbone", method)


@pytest.mark.parametrize("gated", [False, True])
def test_timm_reads_the_authors_names(tmp_path, gated):
  """timm's own reader of Meta's files is the second opinion on the names."""
  act = "swiglu" if gated else "gelu"
  fields = kit.DINOV3 | dict(eps=1e-5, registers=4, act=act, mlp_ratio=3.0)
  written = kit.export("dinov3", kit.tiny("vit", **fields))
  torch, timm = peers.torch(), peers.timm()
  torch.save(
    {n: torch.tensor(x) for n, x in written.theirs.items()},
    tmp_path / "theirs.pth",
  )
  theirs = timm.create_model(
    f"vit_{'small_plus' if gated else 'small'}_patch16_dinov3_qkvb",
    pretrained=True,
    pretrained_cfg_overlay=dict(file=str(tmp_path / "theirs.pth")),
    **peers.TIMM,
  ).eval()
  ours, x = peers.images()
  with torch.no_grad():
    want = theirs.forward_features(x).numpy()
  params = trees.nested(written.ours)["params"]
  got = peers.latent(written.method, params, ours)
  np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())
