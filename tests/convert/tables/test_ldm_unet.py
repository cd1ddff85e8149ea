"""The UNet of latent diffusion: blocks in one row, heads dealt out."""

import kit
import numpy as np
import pytest

from jmim.convert.tables import ldm_unet as tables
from jmim.nn.nets import unet

CLASSES = dict(task="class", classes=5, context=8)
PLAIN = dict(task="none", transformer=0)
CASES = {
  "tokens": {},
  "class": CLASSES,
  "plain": PLAIN,
  "updown": PLAIN | dict(updown=True, scale_shift=True),
  "deep": PLAIN | dict(multipliers=(1, 2, 2), blocks=2, attend_at=(2, 4)),
}


@pytest.mark.parametrize("case", CASES)
def test_names_and_arrays(case):
  written = kit.check("ldm", kit.tiny("latent.ldm", **CASES[case]))
  classes = "cond_stage_model.embedding.weight"
  assert (classes in written.theirs) == (case == "class")


NET = unet.UNet(
  width=16, multipliers=(1, 2), blocks=1, attend_at=(2,), heads=2, groups=4
)


def names(net):
  return {r.ours: r.theirs for r in tables.network(net)}


def test_blocks_are_numbered_in_one_row_down_and_up():
  """By hand, for two levels of one block: what stands where.

  input: conv, block, downsample, block with attention; output: per level one
  block more, and the upsampling at the end of the coarser level.
  """
  found = names(NET)
  for ours, theirs in {
    "conv_in/bias": "input_blocks.0.0.bias",
    "down0_0/conv1/bias": "input_blocks.1.0.in_layers.2.bias",
    "down0_conv/bias": "input_blocks.2.0.op.bias",
    "down1_0/conv1/bias": "input_blocks.3.0.in_layers.2.bias",
    "down1_0_attention/norm/bias": "input_blocks.3.1.norm.bias",
    "up1_0/conv1/bias": "output_blocks.0.0.in_layers.2.bias",
    "up1_1/conv1/bias": "output_blocks.1.0.in_layers.2.bias",
    "up1_conv/bias": "output_blocks.1.2.conv.bias",
    "up0_0/conv1/bias": "output_blocks.2.0.in_layers.2.bias",
    "up0_1/conv1/bias": "output_blocks.3.0.in_layers.2.bias",
  }.items():
    assert found[ours] == theirs
  # Without attention the upsampling comes right after the block.
  bare = names(NET.clone(attend_at=()))
  assert bare["up1_conv/bias"] == "output_blocks.1.1.conv.bias"


def test_resampling_in_blocks_has_no_convolution_of_its_own():
  found = names(NET.clone(updown=True))
  assert "down0_conv/bias" not in found
  assert found["down0_half/norm1/bias"] == "input_blocks.2.0.in_layers.0.bias"
  assert found["up1_twice/norm1/bias"] == "output_blocks.1.2.in_layers.0.bias"


def test_rows_of_q_k_and_v_are_dealt_out_head_by_head():
  kernel, bias = tables.heads_first(2)
  # Of two heads of one feature: q0 k0 v0 q1 k1 v1 there, q0 q1 k0 k1 v0 v1.
  theirs = np.arange(6)
  np.testing.assert_array_equal(bias.to_ours(theirs), [0, 3, 1, 4, 2, 5])
  np.testing.assert_array_equal(bias.to_theirs(bias.to_ours(theirs)), theirs)
  ours = kernel.to_ours(theirs[:, None, None] + np.zeros((6, 4, 1)))
  np.testing.assert_array_equal(ours, np.tile([0, 3, 1, 4, 2, 5], (4, 1)))


def test_a_table_of_labels_is_named_where_there_are_classes():
  assert "label_embed/embedding" not in names(NET)
  with_labels = names(NET.clone(classes=3))
  assert with_labels["label_embed/embedding"] == "label_emb.weight"


def test_other_stages_in_a_checkpoint_are_ignored():
  written = kit.export("ldm", kit.tiny("latent.ldm", **PLAIN))
  more = {
    "first_stage_model.quant_conv.bias": np.zeros(3),
    "model_ema.decay": np.zeros(()),
    "sqrt_alphas_cumprod": np.zeros(4),
    "scale_factor": np.ones(()),
  }
  file = {f"state_dict.{n}": x for n, x in (written.theirs | more).items()}
  made, leaves = kit.load(written, file)
  assert made.ignored == sorted(f"state_dict.{n}" for n in more)
  assert leaves.keys() == written.ours.keys()
