"""UNet2DModel: DDPM's of Google, ADM's with labels, and what is refused."""

import jax
import jax.numpy as jnp
import kit
import numpy as np
import numpydiffusers
import peers
import pytest

from jmim.convert import families
from jmim.convert import table
from jmim.convert.tables import _unet
from jmim.convert.tables import diffusers_unet2d as tables
from jmim.core import errors
from jmim.core import field
from jmim.core import validate
from jmim.methods.diffusion import ddpm

NAME, NONE = "diffusers_unet2d", "params/main/label_embed/embedding"
# config.json of google/ddpm-cifar10-32, as far as it is read.
GOOGLE = dict(
  _class_name="UNet2DModel",
  act_fn="silu",
  attention_head_dim=None,
  block_out_channels=[128, 256, 256, 256],
  center_input_sample=False,
  down_block_types=["DownBlock2D", "AttnDownBlock2D"] + ["DownBlock2D"] * 2,
  downsample_padding=0,
  flip_sin_to_cos=False,
  freq_shift=1,
  in_channels=3,
  layers_per_block=2,
  mid_block_scale_factor=1,
  norm_eps=1e-6,
  norm_num_groups=32,
  out_channels=3,
  sample_size=32,
  time_embedding_type="positional",
  up_block_types=["UpBlock2D"] * 2 + ["AttnUpBlock2D", "UpBlock2D"],
)
SMALL = dict(width=16, multipliers=(1, 2), blocks=1, norm_groups=4, dropout=0.0)
CASES = {
  "ddpm": dict(
    dims=dict(
      attend_at=(2,),
      heads=1,
      norm_eps=1e-3,  # seen in the numbers
      late_pad=True,
      time_order="sin_cos",
      time_inclusive=True,
    ),
    labels=dict(classes=0, drop=0.0),
  ),
  "adm": dict(
    dims=dict(
      attend_at=(2,), heads=0, head_width=8, scale_shift=True, updown=True
    ),
    labels=dict(classes=5, drop=0.0),
    noise=dict(learn_variance=True, variance="learned"),
  ),
  "odd widths": dict(  # the finest is no unit of the others
    dims=dict(
      width=8,
      multipliers=(2, 3),
      attend_at=(1, 2),
      heads=0,
      head_width=8,
      wide_stem=True,
      time_width=64,
      time_waves=16,
    ),
    labels=dict(classes=0, drop=0.0),
  ),
}


def tiny(dims=None, **fields):
  labels = dict(classes=0, drop=0.0)
  dims = SMALL | (dims or {})
  return kit.tiny("diffusion.ddpm", **dict(labels=labels) | fields, dims=dims)


def random(method):
  arrays = kit.filled(kit.shapes(method))
  if NONE in arrays:
    arrays[NONE][-1] = 0  # no label has no row there
  return arrays


def weights(method):
  """(parameters, the same in their names), not too large."""
  theirs = kit.export(NAME, method, random(method)).theirs
  theirs = {k: 0.3 * x for k, x in theirs.items()}
  return table.import_tree(tables.full(method), theirs)["params"], theirs


@pytest.mark.parametrize("case", CASES)
def test_names_arrays_and_config(case):
  method = tiny(**CASES[case])
  kit.check(NAME, method, random(method))
  config = kit.check_config(NAME, method)
  again = validate.build(ddpm.DDPM, tables.read(config), "method")
  assert again.labels == method.labels and again.size == method.size
  theirs, ours = again.net(), method.net()
  assert theirs.heads_at(1) == ours.heads_at(1)
  same = dict(heads=1, head_width=1)
  assert theirs.clone(**same) == ours.clone(**same)


@pytest.mark.parametrize("case", CASES)
def test_the_network_is_the_one_in_numpy(case):
  method = tiny(**CASES[case])
  params, theirs = weights(method)
  x = np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype(np.float32)
  label = 3 if method.labels.classes else None
  labels = None if label is None else np.array([label] * 2)
  apply = jax.jit(method.network)
  raw = apply(params, jnp.moveaxis(x, 1, -1), np.array([7, 7]), labels)
  wide = {k: v.astype(np.float64) for k, v in theirs.items()}
  want = numpydiffusers.Plain(tables.write(method), wide)(x, 7, label)
  got = np.moveaxis(raw, -1, 1)
  np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())


def test_ddpm_of_cifar10_has_its_shapes_and_36_million_parameters():
  method = validate.build(ddpm.DDPM, tables.read(GOOGLE), "method")
  assert families.find(NAME).objection("diffusion.ddpm", method) is None
  shapes = table.shapes(tables.full(method), kit.shapes(method))
  assert round(sum(int(np.prod(s)) for s in shapes.values()) / 1e5) == 357
  for name, shape in {
    "down_blocks.0.downsamplers.0.conv.weight": (128, 128, 3, 3),
    "down_blocks.1.attentions.1.to_q.weight": (256, 256),
    "mid_block.attentions.0.group_norm.weight": (256,),
    "up_blocks.3.resnets.2.conv_shortcut.weight": (128, 256, 1, 1),
    "time_embedding.linear_1.weight": (512, 128),
  }.items():
    assert shapes[name] == shape


def test_older_names_of_attention_are_read():
  written = kit.export(NAME, tiny())
  older = (("to_q", "query"), ("to_k", "key"), ("to_v", "value"))
  file = {}
  for name, array in written.theirs.items():
    for new, old in (*older, ("to_out.0", "proj_attn")):
      name = name.replace(f".{new}.", f".{old}.")
    file[name] = array
  assert file.keys() != written.theirs.keys()
  assert kit.load(written, file)[1].keys() == written.ours.keys()


@pytest.mark.parametrize(
  "other",
  [
    dict(time_embedding_type="fourier"),
    dict(up_block_types=["UpBlock2D"] * 4),
    dict(down_block_types=["SkipDownBlock2D"] * 4),
    dict(upsample_type="resnet"),
    dict(class_embed_type="timestep"),
    dict(add_attention=False),
    dict(downsample_padding=2),
    dict(freq_shift=2),
    dict(attn_norm_num_groups=8),
    dict(out_channels=5),
    dict(resnet_time_scale_shift="spatial"),
  ],
)
def test_other_networks_are_refused_by_name(other):
  with pytest.raises(errors.UserError, match=next(iter(other))):
    tables.read(GOOGLE | other)


def test_a_middle_without_a_norm_is_refused():
  """As ADM's of Diffusers has it where no groups are named."""
  with pytest.raises(errors.UserError, match="attn_norm_num_groups"):
    tables.read(GOOGLE | dict(resnet_time_scale_shift="scale_shift"))


@pytest.mark.parametrize(
  "dims, fields, why",
  [
    (dict(attend_first=True), {}, "attend_first"),
    (dict(up_heads=2), {}, "up_heads"),
    (dict(level_blocks=(1, 2)), {}, "level_blocks"),
    (dict(resample_conv=False), {}, "in convolutions"),
    (dict(time_order="interleaved"), {}, "time_order"),
    (dict(heads=2, attend_at=(1, 2)), {}, "one width"),
    (dict(time_width=20), {}, "finest level's width"),
    ({}, dict(labels=dict(classes=3, drop=0.1)), "labels.drop=0.1"),
  ],
)
def test_what_it_cannot_be(dims, fields, why):
  assert why in tables.objection(tiny(dims, **fields))


@pytest.mark.parametrize("case", CASES)
def test_the_library_computes_the_same(case, tmp_path):
  made = tiny(**CASES[case])
  made = field.replace(made, size=16)
  config = tables.write(made)
  config = {k: v for k, v in config.items() if k[0] != "_"}
  theirs = peers.shake(peers.diffusers().UNet2DModel(**config))
  theirs.save_pretrained(tmp_path / "theirs")
  method, params, plan = peers.read_folder(NAME, tmp_path / "theirs")
  assert not plan.fresh and not plan.ignored
  ours, x = peers.images()
  t, label = np.array([7, 500]), np.array([1, 4])
  told = {} if not made.labels.classes else {"class_labels": label}
  tensors = {k: peers.torch().from_numpy(v) for k, v in told.items()}
  times = peers.torch().from_numpy(t)
  want = peers.run(theirs, x, times, **tensors).sample.numpy()
  got = jax.jit(method.network)(params, ours, t, label if told else None)
  scale = max(1, np.abs(want).max())
  np.testing.assert_allclose(np.moveaxis(got, -1, 1), want, atol=1e-4 * scale)
  peers.check_diffusers_reads(
    NAME, method, params=params, theirs=theirs, folder=tmp_path / "ours"
  )


def test_rows_of_labels_are_those_of_adm():
  """One table without a row for none, wherever it is stored."""
  rules = tables.full(tiny(labels=dict(classes=5, drop=0.0)))
  (rule,) = [r for r in rules if r.theirs == "class_embedding.weight"]
  assert rule.op is _unet.LABELS
