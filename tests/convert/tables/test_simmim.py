"""SimMIM: BEiT's ViT or a Swin, and a head before a PixelShuffle."""

import kit
import numpy as np
import pytest

VITS = {
  "shared": {},
  "block": dict(relative="block"),
  "learned": dict(relative="none", positions="learned", qkv_bias=False),
  "bare": dict(layer_scale=0.0, final_norm=False),
}


@pytest.mark.parametrize("fields", VITS.values(), ids=VITS)
def test_names_and_arrays_of_a_vit(fields):
  kit.check("simmim", kit.tiny("mim.simmim", **fields))


def test_names_and_arrays_of_a_swin():
  written = kit.check("simmim", kit.tiny("mim.simmim", **kit.SIMMIM_SWIN))
  assert "encoder.layers.0.downsample.reduction.weight" in written.theirs
  assert "encoder.layers.1.downsample.norm.weight" not in written.theirs


def test_channels_come_first_in_the_head():
  written = kit.export("simmim", kit.tiny("mim.simmim"))
  kernel, bias = (
    written.ours[f"params/main/head/{leaf}"] for leaf in ("kernel", "bias")
  )
  p = written.method.encoder.stride
  c, row, column = 2, 1, 3
  theirs, ours = (c * p + row) * p + column, (row * p + column) * 3 + c
  np.testing.assert_array_equal(
    written.theirs["decoder.0.weight"][theirs, :, 0, 0], kernel[:, ours]
  )
  assert written.theirs["decoder.0.bias"][theirs] == bias[ours]


def test_indices_of_relative_positions_are_written():
  name = "relative_position_index"
  shared = kit.export("simmim", kit.tiny("mim.simmim")).theirs
  block = kit.export("simmim", kit.tiny("mim.simmim", relative="block")).theirs
  assert [n for n in shared if name in n] == [f"encoder.rel_pos_bias.{name}"]
  assert [n for n in block if name in n] == [
    f"encoder.blocks.{i}.attn.{name}" for i in range(2)
  ]
  index = shared[f"encoder.rel_pos_bias.{name}"]  # of 2 x 2 patches and cls
  assert index.shape == (5, 5) and index.max() == 3 * 3 + 2


def test_tables_that_are_computed_are_ignored_of_a_swin():
  written = kit.export("simmim", kit.tiny("mim.simmim", **kit.SIMMIM_SWIN))
  more = {"encoder.layers.0.blocks.1.attn_mask": np.zeros(2)}
  made, _ = kit.load(written, written.theirs | more)
  assert made.ignored == sorted(more)
