"""The adapter of arbitrary scale on options not in the given cases."""

import functools

import golden_kit
import jax
import numpy as np
import pytest

from jmim.convert import table
from jmim.nn import liif

CONFIG = {
  "ddconfig": {
    "in_channels": 3,
    "out_ch": 3,
    "dropout": 0.0,
    "double_z": False,
    "z_channels": 2,
    "resolution": 12,
    "ch": 4,
    "ch_mult": [1, 2],
    "num_res_blocks": 1,
    "attn_resolutions": [],
  },
  "liifconfig": {
    "hidden_list": [7],
    "cell_decode": True,
    "local_ensemble": True,
  },
  "group_norm_groups": 2,
  "group_norm_eps": 1e-6,
  "output_sizes": [5, 18],
  "linear_start": 1e-3,
  "linear_end": 0.03,
  "timesteps": 50,
  "beta_schedule": "linear = linspace(sqrt(start),sqrt(end))^2",
}
OPTIONS = {
  "plain code, no attention": ({}, {}),
  "posterior, attention": ({"double_z": True, "attn_resolutions": [6]}, {}),
  "deep function, attention in the encoder only": (
    {
      "ch_mult": [2, 1, 3],
      "num_res_blocks": 2,
      "attn_resolutions": [12],
      "z_channels": 5,
    },
    {"hidden_list": [7, 6, 5]},
  ),
  "a linear function": ({}, {"hidden_list": []}),
  "no cell, no ensemble": (
    {"ch_mult": [3], "attn_resolutions": [6, 12], "double_z": True},
    {"cell_decode": False, "local_ensemble": False},
  ),
}


class Theirs:
  """Both halves and the function in NCHW, by the names of the file."""

  def __init__(self, config, params):
    self.c, self.p = config["ddconfig"], params
    self.function = config["liifconfig"]
    self.groups = config["group_norm_groups"]
    sides = [
      self.c["resolution"] // 2**n for n in range(len(self.c["ch_mult"]))
    ]
    self.attends = [side in self.c["attn_resolutions"] for side in sides]

  def conv(self, x, name, stride=1, pad=(1, 1)):
    w = self.p[f"{name}.weight"]
    k = w.shape[-1]
    x = np.pad(x, ((0, 0), (0, 0), pad, pad)) if k > 1 else x
    end = x.shape[2] - k + 1
    seen = lambda i, j: x[:, :, i : i + end : stride, j : j + end : stride]
    y = sum(
      np.einsum("oi,bihw->bohw", w[:, :, i, j], seen(i, j))
      for i in range(k)
      for j in range(k)
    )
    return y + self.p[f"{name}.bias"][:, None, None]

  def norm(self, x, name, act=True):
    y = x.reshape(len(x), self.groups, -1)
    y = (y - y.mean(-1, keepdims=True)) / np.sqrt(
      y.var(-1, keepdims=True) + 1e-6
    )
    w, b = (self.p[f"{name}.{n}"][:, None, None] for n in ("weight", "bias"))
    y = y.reshape(x.shape) * w + b
    return y / (1 + np.exp(-y)) if act else y

  def block(self, x, name):
    y = x
    for i in (1, 2):
      y = self.conv(self.norm(y, f"{name}.norm{i}"), f"{name}.conv{i}")
    beside = f"{name}.nin_shortcut"
    return y + (self.conv(x, beside) if f"{beside}.weight" in self.p else x)

  def attention(self, x, name):
    y = self.norm(x, f"{name}.norm", act=False)
    q, k, v = (
      self.conv(y, f"{name}.{n}").reshape(*x.shape[:2], -1) for n in "qkv"
    )
    w = np.exp(np.einsum("bci,bcj->bij", q, k) / np.sqrt(x.shape[1]))
    y = np.einsum("bij,bcj->bci", w / w.sum(-1, keepdims=True), v)
    return x + self.conv(y.reshape(x.shape), f"{name}.proj_out")

  def level(self, x, name, n, attends):
    for i in range(n):
      x = self.block(x, f"{name}.block.{i}")
      x = self.attention(x, f"{name}.attn.{i}") if attends else x
    return x

  def middle(self, x, name):
    x = self.attention(self.block(x, f"{name}.block_1"), f"{name}.attn_1")
    return self.block(x, f"{name}.block_2")

  def moments(self, x):
    x, at = self.conv(x, "encoder.0.conv_in"), "encoder.0.down"
    for n, attends in enumerate(self.attends):
      x = self.level(x, f"{at}.{n}", self.c["num_res_blocks"], attends)
      if n < len(self.attends) - 1:
        x = self.conv(x, f"{at}.{n}.downsample.conv", stride=2, pad=(0, 1))
    x = self.norm(self.middle(x, "encoder.0.mid"), "encoder.0.norm_out")
    return self.conv(self.conv(x, "encoder.0.conv_out"), "encoder.1")

  def features(self, z):
    """At the side of z, which is that of the coarsest level, throughout."""
    at = "decoder.decoder.1"
    x = self.conv(self.conv(z, "decoder.decoder.0"), f"{at}.conv_in")
    x, count = self.middle(x, f"{at}.mid"), self.c["num_res_blocks"] + 1
    for n in reversed(range(len(self.attends))):
      x = self.level(x, f"{at}.up.{n}", count, self.attends[-1])
    return x

  def colours(self, features, coord, cell):
    """[b, q, 3], all four shifts or none."""
    ensemble, (h, w) = self.function["local_ensemble"], features.shape[2:]
    shifts = (
      [(i, j) for i in (-1, 1) for j in (-1, 1)] if ensemble else [(0, 0)]
    )
    side, rows, made, areas = np.array([h, w]), np.arange(len(coord)), [], []
    for v in shifts:
      moved = coord + np.array(v) / side + (1e-6 if ensemble else 0)
      moved = np.clip(moved, -1 + 1e-6, 1 - 1e-6)
      index = np.floor((moved + 1) * side / 2).astype(int)
      rel = (coord - (-1 + (2 * index + 1) / side)) * side
      near = features[rows[:, None], :, index[..., 0], index[..., 1]]
      x = [near, rel] + [cell * side] * self.function["cell_decode"]
      made.append(self.mlp(np.concatenate(x, -1)))
      areas.append(np.abs(rel.prod(-1)) + 1e-9)
    share = np.array(areas[::-1]) / np.sum(areas, 0)
    return (share[..., None] * np.array(made)).sum(0)

  def mlp(self, x):
    for i in range(len(self.function["hidden_list"]) + 1):
      name = f"decoder.inr.imnet.layers.{2 * i}"
      x = np.maximum(x, 0) if i else x
      x = x @ self.p[f"{name}.weight"].T + self.p[f"{name}.bias"]
    return x


@pytest.mark.parametrize("name", OPTIONS)
def test_options_pass_through_the_table_and_agree(name):
  module, (dd, function) = golden_kit.adapter("arbscale"), OPTIONS[name]
  config = CONFIG | {
    "ddconfig": CONFIG["ddconfig"] | dd,
    "liifconfig": CONFIG["liifconfig"] | function,
  }
  m = module.first_stage(config)
  m.inputs()
  like = jax.eval_shape(m.net.init, jax.random.key(0))
  params = table.export_tree(
    module.convert.network(m.net), golden_kit.weights(like)
  )
  latent = 12 // 2 ** (len(config["ddconfig"]["ch_mult"]) - 1)
  latent = (2, config["ddconfig"]["z_channels"], latent, latent)
  names = ("posterior_noise", "noise", "eps_pred")
  inputs = {n: golden_kit.normal(*latent, seed=i) for i, n in enumerate(names)}
  inputs |= {
    "image": golden_kit.normal(2, 3, 12, 12, seed=4),
    "target_image": golden_kit.normal(2, 3, 9, 9, seed=5),
    "coord": np.tanh(golden_kit.normal(2, 25, 2, seed=6)),
    "cell": np.abs(golden_kit.normal(2, 25, 2, seed=7)),
    "t": np.array([0, 37]),
  }
  if not config["ddconfig"]["double_z"]:
    del inputs["posterior_noise"]
  found = module.run(golden_kit.Asked(config, inputs, params))
  assert found["img_18"].shape == (2, 3, 18, 18)
  theirs = Theirs(config, params)
  near = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4)
  near(found["moments"], theirs.moments(inputs["image"]))
  near(found["feat"], theirs.features(found["z"]))
  asked = [inputs[n] for n in ("coord", "cell")]
  near(found["rgb_query"], theirs.colours(found["feat"], *asked))
  grid = np.broadcast_to(liif.places((5, 5)), (2, 25, 2))
  whole = theirs.colours(found["feat"], grid, liif.cells((5, 5)) + 0 * grid)
  near(np.moveaxis(found["img_5"].reshape(2, 3, 25), 1, -1), whole)
  if config["ddconfig"]["double_z"]:
    mean, log_var = np.split(found["moments"], 2, axis=1)
    near(found["z"], mean + np.exp(log_var / 2) * inputs["posterior_noise"])
  else:
    np.testing.assert_array_equal(found["z"], found["moments"])
  # The first term is w_t |z - z0^|, squared: the error of the noise.
  beta = np.linspace(1e-3**0.5, 0.03**0.5, 50) ** 2
  power = np.cumprod(1 - beta)[inputs["t"]]
  w = power / (1 - power)
  gap = ((found["z"] - found["z0_pred"]) ** 2).mean((1, 2, 3))
  np.testing.assert_allclose(found["align_latent_l2"], w * gap, rtol=1e-3)
  made = np.abs(inputs["target_image"] - found["y_pred"]).mean((1, 2, 3))
  np.testing.assert_allclose(found["align_image_l1"], w**0.5 * made, rtol=1e-3)
