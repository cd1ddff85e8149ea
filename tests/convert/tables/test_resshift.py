"""ResShift: the UNet, its Swin layers, and what halves a larger input."""

import kit
import pytest

from jmim.convert.tables import resshift as tables

NAME, METHOD = "resshift", "restore.resshift"


def test_names_and_arrays():
  written = kit.check(NAME, kit.tiny(METHOD))
  names = set(written.theirs)
  assert written.theirs["input_blocks.0.0.weight"].shape == (8, 6, 3, 3)
  assert {"input_blocks.1.1.blocks.1.attn.qkv.weight"} <= names
  fc1 = written.theirs["input_blocks.1.1.blocks.0.mlp.fc1.weight"]
  assert fc1.shape == (32, 8, 1, 1)
  assert "input_blocks.1.1.patch_embed.norm.weight" not in names
  # The finer level's up path: a block with attention, then one without.
  assert "output_blocks.2.1.patch_unembed.proj.bias" in names
  assert "output_blocks.1.1.conv.weight" in names
  assert not [n for n in names if n.startswith("output_blocks.3.1")]


def test_a_larger_input_is_halved_by_layers_that_count():
  written = kit.check(
    NAME,
    kit.tiny(
      METHOD,
      degraded=dict(degradation="real_esrgan", factor=1),
      first_stage=dict(variant="kl-f4", width=8, blocks=1, codes=0),
      tiles=dict(side=0),
      swin=dict(norm_in=True),
    ),
  )
  found = {n for n in written.theirs if n.startswith("feature_extractor")}
  weights = {n for n in found if n.endswith("weight")}
  assert weights == {
    "feature_extractor.0.weight",
    "feature_extractor.2.op.weight",
    "feature_extractor.3.weight",
    "feature_extractor.5.op.weight",
  }
  last = written.theirs["feature_extractor.5.op.weight"]
  assert last.shape == (64, 32, 3, 3)
  assert "middle_block.1.patch_embed.norm.weight" in written.theirs


@pytest.mark.parametrize(
  "dims, word",
  [
    (dict(attend_first=False), "attend_first"),
    (dict(scale_shift=False), "scale_shift"),
    (dict(wide_stem=True), "wide_stem"),
    (dict(time_inclusive=True), "time_inclusive"),
    (dict(late_pad=True), "late_pad"),
  ],
)
def test_what_their_unet_cannot_be(dims, word):
  assert word in tables.objection(kit.tiny(METHOD, dims=dims))
