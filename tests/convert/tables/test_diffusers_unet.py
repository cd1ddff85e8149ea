"""The UNet of Stable Diffusion 1: shapes and count of the real one."""

import json
import math

import jax
import kit
import numpy as np
import peers
import pytest

from jmim.convert import families
from jmim.convert import files
from jmim.convert import table
from jmim.convert.tables import _diffusers_unet as unets
from jmim.convert.tables import diffusers_unet as tables
from jmim.core import errors
from jmim.core import tree as trees
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


EACH = dict(level_heads=(4, 2), level_blocks=(1, 2), attend_at=(1,))
ODD = dict(  # widths 16 and 24: the finest is no unit of the others
  width=8, multipliers=(2, 3), wide_stem=True, time_width=64, time_waves=16
)


@pytest.mark.parametrize(
  "fields", [{}, DEEP, dict(heads=0, head_width=8), EACH, ODD]
)
def test_names_arrays_and_config(fields):
  method = tiny(first_stage="kl-f8", channels=4, **fields)
  kit.check(NAME, method)
  config = kit.check_config(NAME, method)
  again = validate.build(ldm.LDM, families.find(NAME).read_config(config), "m")
  ours, theirs = method.net(), again.net()
  every = range(len(ours.multipliers))
  assert [*map(theirs.heads_at, every)] == [*map(ours.heads_at, every)]
  assert theirs.blocks_at == ours.blocks_at
  same = dict(heads=0, head_width=8, blocks=1)
  assert theirs.clone(**same) == ours.clone(**same)


def test_stable_diffusion_has_its_shapes_and_859_million_parameters():
  fields = families.find(NAME).read_config(SD)
  method = validate.build(ldm.LDM, fields, "method")
  assert method.inputs()["context"].shape == (77, 768)
  like = jax.eval_shape(method.init, jax.random.key(0), {})[0]["main"]["net"]
  shapes = table.shapes(unets.network(method.net()), like)
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
    dict(addition_embed_type="text_time"),
    dict(up_block_types=["UpBlock2D"] * 4),
    dict(transformer_layers_per_block=[1, 2, 2, 2]),
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
    (dict(attend_first=True), "every block"),
    (dict(time_width=20), "finest level's width"),
  ],
)
def test_methods_that_it_cannot_be(fields, why):
  assert why in tables.objection(tiny(**fields))


def test_stable_diffusion_2_has_linear_maps_and_its_own_heads():
  """The same leaves from either way of writing a map of one place."""
  heads = dict(attention_head_dim=[5, 10, 20, 20], cross_attention_dim=1024)
  second = families.find("diffusers_unet2")
  fields = second.read_config(SD | heads | dict(use_linear_projection=True))
  net = validate.build(ldm.LDM, fields, "method").net()
  assert [net.heads_at(i) for i in range(4)] == [5, 10, 20, 20]
  method = tiny(first_stage="kl-f8", channels=4)
  written = kit.check("diffusers_unet2", method)
  other = kit.export(NAME, method)
  name = "mid_block.attentions.0.proj_in.weight"
  assert written.theirs[name].ndim == 2 and other.theirs[name].ndim == 4
  read = table.import_tree(unets.network(method.net()), written.theirs)
  leaf = "middle_attention/proj_in/kernel"
  ours = written.ours[f"params/main/net/{leaf}"]
  np.testing.assert_array_equal(trees.named(read)[leaf], ours)


@pytest.mark.parametrize("name", [NAME, "diffusers_unet2"])
def test_the_library_computes_the_same(name, tmp_path):
  """Its own network of random weights, read, run and written again."""
  made = tiny(first_stage="kl-f8", channels=4, size=8, **EACH)
  config = families.find(name).write_config(made)
  config = {k: v for k, v in config.items() if k[0] != "_"}
  theirs = peers.shake(peers.diffusers().UNet2DConditionModel(**config))
  theirs.save_pretrained(tmp_path / "theirs")
  config = json.loads((tmp_path / "theirs" / "config.json").read_text())
  method, params, plan = peers.read(
    name, config, files.read(tmp_path / "theirs")
  )
  assert not plan.ignored
  rng = np.random.default_rng(0)
  x = rng.normal(size=(2, 8, 8, 4)).astype(np.float32)
  text = rng.normal(size=(2, 5, 8)).astype(np.float32)
  t = np.array([7, 500])
  tensors = [peers.torch().from_numpy(a) for a in (t, text)]
  want = peers.run(theirs, peers.channels_first(x), *tensors).sample.numpy()
  variables = {"params": params["main"]["net"]}
  got = jax.jit(method.net().apply)(variables, x, t, None, context=text)
  scale = max(1, np.abs(want).max())
  np.testing.assert_allclose(np.moveaxis(got, -1, 1), want, atol=1e-4 * scale)
  own = {"main": {"net": params["main"]["net"]}}
  peers.check_diffusers_reads(
    name, method, params=own, theirs=theirs, folder=tmp_path / "ours"
  )
