"""The UNet of latent diffusion: blocks in one row, heads dealt out."""

import jax
import numpy as np

from jmim.convert import table
from jmim.convert.tables import _unet as tables
from jmim.core import tree as trees
from jmim.nn.nets import unet

FIELDS = dict(
  width=16, multipliers=(1, 2), blocks=1, attend_at=(2,), heads=2, groups=4
)
NET = unet.UNet(**FIELDS)


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


def test_a_table_of_labels_is_named_where_there_are_classes():
  assert "label_embed/embedding" not in names(NET)
  with_labels = names(NET.clone(classes=3))
  assert with_labels["label_embed/embedding"] == "label_emb.weight"


def test_each_level_has_its_blocks_and_attention_may_follow_the_first_alone():
  """Every parameter has a name, and no name is without one."""
  net = NET.clone(
    blocks=(1, 2), attend_at=(1, 2), attend_first=True, wide_stem=True
  )
  net = net.clone(multipliers=(2, 3))
  found = names(net)
  shapes = jax.eval_shape(
    net.init, jax.random.key(0), np.zeros((1, 8, 8, 3)), np.zeros(1)
  )
  assert set(found) == set(trees.named(shapes["params"]))
  assert found["down1_1/conv1/bias"] == "input_blocks.4.0.in_layers.2.bias"
  assert "down1_1_attention/norm/bias" not in found
  assert found["up1_conv/bias"] == "output_blocks.2.1.conv.bias"
  assert found["up0_0_attention/norm/bias"] == "output_blocks.3.1.norm.bias"


def test_a_branch_has_the_names_of_its_authors():
  net = unet.Branch(**FIELDS, updown=True, scale_shift=True, code="scale")
  image, code = np.zeros((1, 8, 8, 3)), np.zeros((1, 5))
  start = lambda key: net.init(key, *skips(image), code=code)
  shapes = jax.eval_shape(start, jax.random.key(0))["params"]
  params = jax.tree.map(lambda s: np.ones(s.shape, s.dtype), shapes)
  theirs = table.export_tree(tables.branch(net), params)
  assert theirs["label_emb.weight"].shape == (64, 5)
  assert theirs["shift_middle_block.1.qkv.weight"].shape == (96, 32, 1)
  assert theirs["shift_output_blocks.1.2.emb_z_layers.1.bias"].shape == (64,)
  back = table.import_tree(tables.branch(net), theirs)
  assert trees.named(back).keys() == trees.named(shapes).keys()


def skips(image):
  """What the network of `FIELDS` leaves for a branch."""
  net = unet.UNet(**FIELDS, updown=True, scale_shift=True)
  made = lambda key: net.init_with_output(
    key, image, np.zeros(1), method="tapped"
  )[0][1]
  taps = jax.eval_shape(made, jax.random.key(0))
  taps = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), taps)
  return taps.skips, taps.emb
