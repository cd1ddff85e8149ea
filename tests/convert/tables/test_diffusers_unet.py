"""The UNet of Stable Diffusion 1: shapes and count of the real one."""

import math

import jax
import kit
import pytest

from jmim.convert import families
from jmim.convert import table
from jmim.convert.tables import diffusers_unet as tables
from jmim.core import errors
from jmim.core import validate
from jmim.methods.latent import ldm

NAME = "diffusers_unet"
TEXT = dict(task="context", tokens=5, context=8, transformer=1)
DEEP = dict(multipliers=(1, 2, 2), blocks=2, attend_at=(2, 4), transformer=2)
# config.json of Stable Diffusion 1.5's UNet, as far as it is read.
SD = dict(
  _class_name="UNet2DConditionModel",
  act_fn="silu",
  attention_head_dim=8,
  block_out_channels=[320, 640, 1280, 1280],
  center_input_sample=False,
  cross_attention_dim=768,
  down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
  downsample_padding=1,
  flip_sin_to_cos=True,
  freq_shift=0,
  in_channels=4,
  layers_per_block=2,
  mid_block_scale_factor=1,
  norm_eps=1e-5,
  norm_num_groups=32,
  out_channels=4,
  sample_size=64,
  up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
)


def tiny(**fields):
  return kit.tiny("latent.ldm", **TEXT | fields)


@pytest.mark.parametrize("fields", [{}, DEEP, dict(heads=0, head_width=8)])
def test_names_arrays_and_config(fields):
  method = tiny(first_stage="kl-f8", channels=4, **fields)
  kit.check(NAME, method)
  config = kit.check_config(NAME, method)
  again = validate.build(ldm.LDM, families.find(NAME).read_config(config), "m")
  ours, theirs = method.net(), again.net()
  assert theirs.clone(heads=0, head_width=8) == ours.clone(
    heads=0, head_width=8
  )
  widths = [16, 32]
  assert [*map(theirs.heads_at, widths)] == [*map(ours.heads_at, widths)]


def test_stable_diffusion_has_its_shapes_and_859_million_parameters():
  fields = families.find(NAME).read_config(SD)
  method = validate.build(ldm.LDM, fields, "method")
  assert method.inputs()["context"].shape == (77, 768)
  like = jax.eval_shape(method.init, jax.random.key(0), {})[0]["main"]["net"]
  shapes = table.shapes(tables.network(method.net()), like)
  assert sum(map(math.prod, shapes.values())) == 859_520_964
  assert len(shapes) == 686
  up = "up_blocks.1.attentions.2.transformer_blocks.0"
  for name, shape in {
    "conv_in.weight": (320, 4, 3, 3),
    "time_embedding.linear_1.weight": (1280, 320),
    "down_blocks.1.resnets.0.conv_shortcut.weight": (640, 320, 1, 1),
    "up_blocks.0.resnets.2.conv1.weight": (1280, 2560, 3, 3),
    "up_blocks.3.resnets.0.conv_shortcut.weight": (320, 960, 1, 1),
    "up_blocks.2.upsamplers.0.conv.weight": (640, 640, 3, 3),
    "mid_block.attentions.0.proj_in.weight": (1280, 1280, 1, 1),
    f"{up}.attn2.to_k.weight": (1280, 768),
    f"{up}.ff.net.0.proj.weight": (10240, 1280),
  }.items():
    assert shapes[name] == shape


@pytest.mark.parametrize(
  "other",
  [
    dict(use_linear_projection=True),
    dict(attention_head_dim=[5, 10, 20, 8]),
    dict(addition_embed_type="text_time"),
    dict(up_block_types=["UpBlock2D"] * 4),
  ],
)
def test_other_networks_are_refused_by_name(other):
  with pytest.raises(errors.UserError, match=next(iter(other))):
    tables.read(SD | other)


@pytest.mark.parametrize(
  "fields, why",
  [
    (dict(task="none", transformer=0), "it has a context"),
    (dict(updown=True), "in convolutions"),
    (dict(scale_shift=True), "times are added"),
    (dict(level_blocks=(1, 2)), "as many blocks"),
  ],
)
def test_methods_that_it_cannot_be(fields, why):
  assert why in tables.objection(tiny(**fields))
