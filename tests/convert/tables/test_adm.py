"""ADM's UNet: names, a table of labels without none, heads dealt out or not."""

import jax
import jax.numpy as jnp
import kit
import numpy as np
import numpyunet
import pytest

from jmim.convert import families
from jmim.convert import table
from jmim.convert.tables import _unet
from jmim.convert.tables import adm as tables
from jmim.core import errors
from jmim.core import validate
from jmim.methods.diffusion import ddpm

NONE = "params/main/label_embed/embedding"
LEARNED = dict(learn_variance=True, variance="learned")
# Small networks in the words of `dims`, and in those of the authors.
SMALL = dict(width=32, multipliers=(1, 2), blocks=1, norm_groups=32)
ADM = SMALL | dict(
  attend_at=(2,), heads=0, head_width=16, scale_shift=True, updown=True
)
IMPROVED = SMALL | dict(attend_at=(1, 2), heads=4, up_heads=2)
FLAGS = dict(
  model_channels=32,
  channel_mult=[1, 2],
  num_res_blocks=1,
  attention_resolutions=[2],
  num_head_channels=16,
  use_scale_shift_norm=True,
  resblock_updown=True,
)
PLAIN = dict(
  model_channels=32,
  channel_mult=[1, 2],
  num_res_blocks=1,
  attention_resolutions=[1, 2],
  num_heads=4,
  num_heads_upsample=2,
)


def tiny(dims=ADM, classes=5, drop=0.0, **fields):
  labels = dict(classes=classes, drop=drop)
  dims = dict(dropout=0.0) | dims
  return kit.tiny("diffusion.ddpm", dims=dims, labels=labels, **fields)


def random(method):
  """Weights of a method, but for the row of no label."""
  arrays = kit.filled(kit.shapes(method))
  if NONE in arrays:
    arrays[NONE][-1] = 0
  return arrays


@pytest.mark.parametrize("name", ["adm", "adm_new_order"])
@pytest.mark.parametrize("dims", [ADM, IMPROVED])
@pytest.mark.parametrize("classes", [0, 5])
def test_names_and_arrays(name, dims, classes):
  method = tiny(dims, classes, noise=LEARNED)
  written = kit.check(name, method, random(method))
  assert written.theirs["out.2.weight"].shape == (6, 32, 3, 3)
  assert ("label_emb.weight" in written.theirs) == bool(classes)
  if classes:  # five labels, and no row for none
    assert written.theirs["label_emb.weight"].shape == (5, 128)


@pytest.mark.parametrize(
  "name, dims, flags",
  [("adm", ADM, FLAGS), ("adm_new_order", IMPROVED, PLAIN)],
)
def test_the_network_is_theirs(name, dims, flags):
  """As the one in numpy, from their names; a variance is predicted too."""
  method = tiny(dims, noise=LEARNED)
  written = kit.export(name, method, random(method))
  theirs = {k: 0.3 * x for k, x in written.theirs.items()}
  _, leaves = kit.load(written, theirs)
  params = table.import_tree(tables.full(method, name == "adm"), theirs)
  assert leaves.keys() == written.ours.keys()
  x = np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype(np.float32)
  t, label = np.array([3, 17]), np.array([0, 4])
  raw = jax.jit(method.network)(
    params["params"], jnp.moveaxis(x, 1, -1), t, label
  )
  order = dict(use_new_attention_order=name == "adm_new_order")
  wide = {k: v.astype(np.float64) for k, v in theirs.items()}
  want = numpyunet.unet(flags | order, wide, x, t, y=label)[0]
  got = np.moveaxis(raw, -1, 1)
  np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())


def test_adm_of_imagenet_has_its_554_million_parameters():
  """Flags of the published model of 256 px, with classes."""
  fields = dict(
    size=256,
    dims=dict(
      width=256,
      multipliers=(1, 1, 2, 2, 4, 4),
      blocks=2,
      attend_at=(8, 16, 32),
      heads=0,
      head_width=64,
      scale_shift=True,
      updown=True,
    ),
    labels=dict(classes=1000, drop=0.0),
    noise=LEARNED,
  )
  method = validate.build(ddpm.DDPM, fields, "method")
  assert families.find("adm").objection("diffusion.ddpm", method) is None
  rules = tables.full(method)
  shapes = table.shapes(rules, kit.shapes(method))
  count = sum(int(np.prod(s)) for s in shapes.values())
  assert round(count / 1e6) == 554
  for name, shape in {
    "input_blocks.3.0.in_layers.2.weight": (256, 256, 3, 3),
    "input_blocks.7.0.skip_connection.weight": (512, 256, 1, 1),
    "middle_block.1.qkv.weight": (3072, 1024, 1),
    "output_blocks.2.2.in_layers.2.weight": (1024, 1024, 3, 3),
    "label_emb.weight": (1000, 1024),
    "out.2.weight": (6, 256, 3, 3),
  }.items():
    assert shapes[name] == shape


@pytest.mark.parametrize(
  "dims, fields, why",
  [
    ({}, dict(drop=0.1), "labels.drop=0.1"),
    (dict(norm_groups=16), {}, "norm_groups=16"),
    (dict(level_blocks=(1, 2)), {}, "level_"),
    (dict(time_width=64), {}, "time_width"),
    (dict(attend_first=True), {}, "attend_first"),
    (dict(norm_eps=1e-6), {}, "norm_eps"),
    (dict(time_inclusive=True), {}, "time_inclusive"),
    ({}, dict(prediction="v"), "prediction='v'"),
  ],
)
def test_what_their_code_cannot_be(dims, fields, why):
  method = tiny(ADM | dims, **fields)
  found = families.find("adm").objection("diffusion.ddpm", method)
  assert why in found


def test_a_table_with_a_row_for_none_does_not_fit():
  """As where classifier-free guidance was trained into it."""
  method = tiny()
  written = kit.export("adm", method, random(method))
  more = written.theirs["label_emb.weight"]
  other = written.theirs | {
    "label_emb.weight": np.concatenate([more, more[:1]])
  }
  with pytest.raises(errors.UserError, match="label_emb.weight"):
    kit.load(written, other)


def test_exports_of_a_host_of_pdae_keep_its_family():
  """It is a special case; other networks go out as ADM's."""
  of = lambda method: families.for_export("authors", "diffusion.ddpm", method)[
    0
  ]
  assert of(tiny(classes=0)) == "pdae_host"
  assert of(tiny()) == "adm"
  assert of(tiny(IMPROVED, classes=0)) == "adm"


def test_no_label_is_no_row():
  x = np.arange(6.0).reshape(3, 2)
  ours = _unet.LABELS.to_ours(x)
  np.testing.assert_array_equal(ours, [*x, [0, 0]])
  np.testing.assert_array_equal(_unet.LABELS.to_theirs(ours), x)
