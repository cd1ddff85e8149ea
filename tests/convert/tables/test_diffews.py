"""The UNet of Stable Diffusion 2 with a second stem."""

import jax
import kit
import pytest

from jmim.convert import families
from jmim.convert import table
from jmim.convert.tables import diffews as tables
from jmim.core import errors
from jmim.core import validate
from jmim.methods.dense import diffews

NAME = "diffews"
# What a config.json of Stable Diffusion 2.1's UNet says, and the second stem.
SD = dict(
  _class_name="UNet2DConditionModel",
  attention_head_dim=[5, 10, 20, 20],
  block_out_channels=[320, 640, 1280, 1280],
  cross_attention_dim=1024,
  down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
  in_channels=4,
  in_channels_ref=8,
  layers_per_block=2,
  norm_num_groups=32,
  out_channels=4,
  sample_size=64,
  up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
  use_linear_projection=True,
)
HEADS = dict(level_heads=(4, 2), attend_at=(1, 2), level_blocks=(2, 1))


@pytest.mark.parametrize("dims", [{}, HEADS, dict(attend_at=())])
def test_names_arrays_and_config(dims):
  method = kit.tiny("dense.diffews", dims=dims)
  written = kit.check(NAME, method)
  assert written.theirs["conv_in_ref.weight"].shape == (16, 6, 3, 3)
  assert written.theirs["mid_block.attentions.0.proj_in.weight"].ndim == 2
  family = families.find(NAME)
  fields = family.read_config(family.write_config(method))
  fields["first_stage"] = dict(variant="none")  # a config does not tell
  again = validate.build(diffews.DiffewS, fields, "method")
  every = range(len(method.dims.multipliers))
  heads = lambda m: [m.net.heads_at(i) for i in every]
  assert heads(again) == heads(method)
  assert kit.shapes(again).keys() == kit.shapes(method).keys()
  assert family.write_config(again) == family.write_config(method)


def test_stable_diffusion_2_is_the_default_and_has_its_shapes():
  fields = families.find(NAME).read_config(SD)
  method = validate.build(diffews.DiffewS, fields, "method")
  assert [method.net.heads_at(i) for i in range(4)] == [5, 10, 20, 20]
  like = jax.eval_shape(method.init, jax.random.key(0), {})[0]["main"]["net"]
  default = jax.eval_shape(diffews.DiffewS().init, jax.random.key(0), {})[0]
  shape = lambda tree: jax.tree.map(lambda x: x.shape, tree)
  assert shape(default["main"]["net"]) == shape(like)
  shapes = table.shapes(tables.network(method.net), like)
  block = "down_blocks.0.attentions.0"
  assert shapes["conv_in_ref.weight"] == (320, 8, 3, 3)
  assert shapes[f"{block}.proj_in.weight"] == (320, 320)
  attn2 = f"{block}.transformer_blocks.0.attn2"
  assert shapes[f"{attn2}.to_k.weight"] == (320, 1024)


def test_what_it_cannot_be():
  with pytest.raises(errors.UserError, match="in_channels_ref"):
    tables.read(SD | dict(in_channels_ref=9))
  tiny = lambda **fields: kit.tiny("dense.diffews", **fields)
  assert "prompt" in tables.objection(tiny(prompt=dict(transformer=0)))
  assert "added" in tables.objection(tiny(dims=dict(scale_shift=True)))
