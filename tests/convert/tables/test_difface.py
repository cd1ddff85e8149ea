"""DifFace's UNet, whose levels differ, and SwinIR with unshuffling."""

import dataclasses

import jax
import jax.numpy as jnp
import kit
import numpy as np
import numpyunet
import pytest

from jmim.convert import families
from jmim.convert import table
from jmim.convert.tables import difface as tables
from jmim.methods.restore import difface
from jmim.nn.nets import swinir as nets

LEVELS = dict(level_blocks=(1, 2))
SMALL = dict(depths=(2, 1), width=4, heads=2, window=2, unshuffle=2, tail=4)


def swinir(boxes=0, **sizes):
  plain = kit.tiny("restore.restorer", holes=dict(boxes=boxes))
  return dataclasses.replace(plain, net=nets.Dims(**SMALL | sizes))


def test_names_and_arrays_of_the_unet():
  written = kit.check("difface", kit.tiny("restore.difface", dims=LEVELS))
  names = set(written.theirs)
  # 0: stem; 1: a block; 2: half; 3, 4: two blocks with attention.
  assert "input_blocks.4.1.qkv.weight" in names
  assert "input_blocks.5.0.in_layers.0.weight" not in names
  assert "output_blocks.4.0.in_layers.0.weight" in names
  assert written.theirs["out.2.weight"].shape[0] == 6


def test_the_network_is_theirs():
  """As the one in numpy, from their names; one block, and two."""
  dims = dict(width=32, norm_groups=32, head_width=16) | LEVELS
  method = kit.tiny("restore.difface", dims=dims)
  written = kit.export("difface", method)
  theirs = {k: 0.3 * x for k, x in written.theirs.items()}
  rules = tables.FAMILIES["difface"].table(method)
  params = table.import_tree(rules, theirs)["params"]
  x = np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype(np.float32)
  t = np.array([3, 17])
  raw = jax.jit(method.network)(params, jnp.moveaxis(x, 1, -1), t)
  flags = dict(
    model_channels=32,
    channel_mult=[1, 2],
    num_res_blocks=[1, 2],
    attention_resolutions=[2],
    num_head_channels=16,
  )
  wide = {k: v.astype(np.float64) for k, v in theirs.items()}
  want = numpyunet.unet(flags, wide, x, t)[0]
  got = np.moveaxis(raw, -1, 1)
  np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())


def test_the_published_unet_has_blocks_of_its_own_at_each_level():
  """1, 2, 2, 2, 2, 3, 4 of them, and attention at sides 32, 16 and 8."""
  method = difface.DifFace()
  assert families.find("difface").objection("restore.difface", method) is None
  rules = tables.FAMILIES["difface"].table(method)
  shapes = table.shapes(rules, kit.shapes(method))
  ends = {n.split(".")[1] for n in shapes if n.startswith("input_blocks")}
  assert len(ends) == 1 + 16 + 6  # the stem, blocks, and halvings
  attended = [n for n in shapes if n.endswith("qkv.weight")]
  assert len(attended) == 2 + 3 + 4 + 1 + 3 + 4 + 5
  assert shapes["middle_block.1.qkv.weight"] == (1536, 512, 1)


def test_names_and_arrays_of_swinir():
  written = kit.check("swinir", swinir())
  shape = {name: x.shape for name, x in written.theirs.items()}
  assert shape["conv_first.1.weight"] == (4, 12, 3, 3)
  block = "layers.0.residual_group.blocks.1"
  assert shape[f"{block}.attn.relative_position_bias_table"] == (9, 2)
  assert shape[f"{block}.mlp.fc1.weight"] == (8, 4)
  assert shape["conv_up1.weight"] == (4, 4, 3, 3)
  assert "conv_up2.weight" not in shape
  plain = kit.check("swinir", swinir(unshuffle=1))
  assert plain.theirs["conv_first.weight"].shape == (4, 3, 3, 3)


def test_tables_that_are_computed_may_stand_in_a_file():
  written = kit.export("swinir", swinir())
  block = "layers.0.residual_group.blocks.1"
  more = {
    f"{block}.attn_mask": np.zeros((4, 4, 4), np.float32),
    f"{block}.attn.relative_position_index": np.zeros((4, 4), np.int64),
  }
  held = {f"params.{n}": x for n, x in (written.theirs | more).items()}
  made, leaves = kit.load(written, held)
  assert not made.fresh and set(leaves) == set(written.ours)


@pytest.mark.parametrize(
  "family, method, why",
  [
    ("swinir", kit.tiny("restore.restorer"), "net.type"),
    ("swinir", swinir(boxes=1), "a mask"),
    (
      "difface",
      kit.tiny("restore.difface", dims=dict(level_heads=(1, 2))),
      "level_heads",
    ),
    (
      "difface",
      kit.tiny("restore.difface", dims=dict(time_width=64 + 8)),
      "time_width",
    ),
    (
      "difface",
      kit.tiny("restore.difface", dims=dict(norm_eps=1e-6)),
      "norm_eps",
    ),
  ],
)
def test_what_their_code_cannot_be(family, method, why):
  assert why in families.find(family).check(method)


# SwinIR in numpy, from their names alone; NCHW but inside of its blocks.


def tokens(x):
  return x.transpose(0, 2, 3, 1)


def maps(x):
  return x.transpose(0, 3, 1, 2)


def windows(x, side):
  """[b, h, w, c] -> [b, n, s*s, c]."""
  b, h, w, c = x.shape
  x = x.reshape(b, h // side, side, w // side, side, c)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, -1, side * side, c)


def back(x, side, shape):
  b, h, w, c = shape
  x = x.reshape(b, h // side, w // side, side, side, c)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(shape)


def apart(h, w, side, shift):
  """[n, s*s, s*s], -100 between places that only the shift brought together."""
  region = np.zeros((1, h, w, 1))
  for i, rows in enumerate(
    (slice(-side), slice(-side, -shift), slice(-shift, None))
  ):
    for j, columns in enumerate(
      (slice(-side), slice(-side, -shift), slice(-shift, None))
    ):
      region[:, rows, columns] = 3 * i + j
  seen = windows(region, side)[0, :, :, 0]
  return np.where(seen[:, :, None] == seen[:, None], 0.0, -100.0)


def swin_block(p, name, x, *, heads, side, shift):
  y = numpyunet.layer_norm(p, f"{name}.norm1", x)
  y = windows(np.roll(y, (-shift, -shift), (1, 2)), side)
  b, n, t, c = y.shape
  qkv = numpyunet.linear(p, f"{name}.attn.qkv", y)
  q, k, v = qkv.reshape(b, n, t, 3, heads, -1).transpose(3, 0, 1, 4, 2, 5)
  logits = np.einsum("bnhtd,bnhsd->bnhts", q, k) * (c // heads) ** -0.5
  i, j = np.divmod(np.arange(t), side)
  place = (i[:, None] - i + side - 1) * (2 * side - 1)
  place += j[:, None] - j + side - 1
  bias = p[f"{name}.attn.relative_position_bias_table"][place]
  logits += bias.transpose(2, 0, 1)
  if shift:
    logits += apart(*x.shape[1:3], side, shift)[:, None]
  y = np.einsum("bnhts,bnhsd->bnthd", numpyunet.softmax(logits), v)
  y = numpyunet.linear(p, f"{name}.attn.proj", y.reshape(b, n, t, c))
  x = x + np.roll(back(y, side, x.shape), (shift, shift), (1, 2))
  y = numpyunet.layer_norm(p, f"{name}.norm2", x)
  y = numpyunet.linear(p, f"{name}.mlp.fc1", y)
  y = y * (1 + numpyunet.erf(y / np.sqrt(2))) / 2
  return x + numpyunet.linear(p, f"{name}.mlp.fc2", y)


def numpy_swinir(p, x, *, depths, heads, side, unshuffle):
  mean = np.array([0.4488, 0.4371, 0.4040]).reshape(1, 3, 1, 1)
  leaky = lambda y, slope: np.where(y > 0, y, slope * y)
  conv = lambda name, y: numpyunet.conv(p, name, y)
  b, c, h, w = x.shape
  u = unshuffle
  y = (x - mean).reshape(b, c, h // u, u, w // u, u)
  y = y.transpose(0, 1, 3, 5, 2, 4).reshape(b, c * u * u, h // u, w // u)
  first = conv("conv_first.1", y)
  y = numpyunet.layer_norm(p, "patch_embed.norm", tokens(first))
  for i, depth in enumerate(depths):
    z = y
    for j in range(depth):
      name = f"layers.{i}.residual_group.blocks.{j}"
      shift = side // 2 * (j % 2)
      z = swin_block(p, name, z, heads=heads, side=side, shift=shift)
    y = y + tokens(conv(f"layers.{i}.conv", maps(z)))
  y = first + conv("conv_after_body", maps(numpyunet.layer_norm(p, "norm", y)))
  y = leaky(conv("conv_before_upsample.0", y), 0.01)
  for i in range(int(np.log2(u))):
    y = leaky(conv(f"conv_up{i + 1}", numpyunet.twice(y)), 0.2)
  return conv("conv_last", leaky(conv("conv_hr", y), 0.2)) + mean


def test_the_restorer_is_theirs():
  """Two groups, shifted windows, an unshuffled image."""
  method = swinir()
  written = kit.export("swinir", method)
  theirs = {k: 0.3 * v for k, v in written.theirs.items()}
  rules = tables.FAMILIES["swinir"].table(method)
  params = table.import_tree(rules, theirs)["params"]
  x = np.random.default_rng(1).uniform(size=(2, 3, 8, 8)).astype(np.float32)
  made = jax.jit(method.network)(params, jnp.moveaxis(x, 1, -1))
  wide = {k: v.astype(np.float64) for k, v in theirs.items()}
  want = numpy_swinir(wide, x, depths=(2, 1), heads=2, side=2, unshuffle=2)
  got = np.moveaxis(made, -1, 1)
  np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())
