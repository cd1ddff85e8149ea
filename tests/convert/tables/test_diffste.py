"""Both branches of DiffSTE, and the UNet of Stable Diffusion inpainting."""

import jax
import kit
import numpy as np
import pytest

from jmim.convert import families
from jmim.convert import table
from jmim.convert.tables import diffste as tables
from jmim.core import errors
from jmim.core import field
from jmim.core import validate
from jmim.methods.edit import diffste

TEXT = dict(branches=("text",))
# What a config.json of the UNet of stable-diffusion-inpainting says.
SD = dict(
  _class_name="UNet2DConditionModel",
  attention_head_dim=8,
  block_out_channels=[320, 640, 1280, 1280],
  cross_attention_dim=768,
  down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
  in_channels=9,
  layers_per_block=2,
  norm_num_groups=32,
  out_channels=4,
  sample_size=64,
  up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
)


def heads(method):
  return [method.net.heads_at(i) for i in range(len(method.dims.multipliers))]


@pytest.mark.parametrize("blocks", [1, 2])
def test_names_and_arrays_of_both_branches(blocks):
  method = kit.tiny("edit.diffste", dims=dict(blocks=blocks))
  written = kit.check("diffste", method)
  theirs = written.theirs
  assert theirs["unet.conv_in.weight"].shape == (16, 7, 3, 3)
  there = "unet.down_blocks.0.attentions.{}.0.transformer_blocks.0.attn2.to_k"
  keys = lambda name: theirs[f"{there.format(name)}.weight"].shape
  assert (keys("text"), keys("char")) == ((16, 8), (16, 6))
  assert theirs["char_embedder.char_embedding.weight"].shape == (12, 6)
  # What a checkpoint has of other networks is passed over.
  more = dict.fromkeys(("vae.x", "text_encoder.y"), np.zeros(2))
  more["char_embedder.position_ids"] = np.arange(3)[None]
  plan, _ = kit.load(written, theirs | more)
  assert set(more) <= set(plan.ignored)


def test_names_arrays_and_config_of_the_start():
  method = kit.tiny("edit.diffste", size=(8, 8), told=TEXT)
  written = kit.check("diffste_base", method)
  assert "down_blocks.0.attentions.0.norm.weight" in written.theirs
  family = families.find("diffste_base")
  fields = family.read_config(family.write_config(method))
  fields["first_stage"] = dict(variant="none")  # a config does not tell
  fields["told"]["text"] |= dict(heads=1)
  again = validate.build(diffste.DiffSTE, fields, "method")
  assert again.shape == method.shape and heads(again) == heads(method)
  assert kit.shapes(again).keys() == kit.shapes(method).keys()
  assert family.write_config(again) == family.write_config(method)


def test_the_start_has_the_shapes_of_stable_diffusion_and_of_the_default():
  fields = families.find("diffste_base").read_config(SD)
  method = validate.build(diffste.DiffSTE, fields, "method")
  default = field.replace(diffste.DiffSTE(), told=TEXT)
  assert heads(method) == heads(default) == [8] * 4
  assert method.size == (64, 64)
  like = jax.eval_shape(default.init, jax.random.key(0), {})[0]["main"]["net"]
  shapes = table.shapes(
    tables.base(default), {"params": {"main": {"net": like}}}
  )
  assert shapes["conv_in.weight"] == (320, 9, 3, 3)
  attn2 = "down_blocks.2.attentions.1.transformer_blocks.0.attn2"
  assert shapes[f"{attn2}.to_k.weight"] == (1280, 768)


def test_the_text_of_both_branches_is_renamed_from_the_start():
  """As the published recipe says: a transformer becomes that of the text."""
  both = kit.shapes(kit.tiny("edit.diffste"))
  start = kit.shapes(kit.tiny("edit.diffste", told=TEXT))
  named = {
    n.replace("_attention/", "_attention/text/"): x for n, x in start.items()
  }
  left = {n for n in both if n not in named}
  assert left and all("/char/" in n for n in left)
  for name in named.keys() & both.keys():
    assert named[name].shape == both[name].shape


def test_what_they_cannot_be():
  tiny = lambda **fields: kit.tiny("edit.diffste", **fields)
  assert "both branches" in tables.objection(tiny(told=TEXT))
  assert "the text is all" in tables.objection_to_base(tiny())
  assert "added" in tables.objection(tiny(dims=dict(scale_shift=True)))
  for change in (
    dict(in_channels=4),
    dict(use_linear_projection=True),
    dict(transformer_layers_per_block=2),
  ):
    with pytest.raises(errors.UserError, match=next(iter(change))):
      tables.read(SD | change)
