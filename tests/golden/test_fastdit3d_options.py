"""The adapter of FastDiT-3D's base against DiT-3D written in numpy."""

import golden_kit
import jax
import numpy as np
import numpydit
import pytest
import scipy.ndimage
import scipy.special
from numpyunet import linear
from numpyunet import silu

from jmim.convert import table

CONFIG = {
  "input_size": 8,
  "patch_size": 2,
  "in_channels": 3,
  "hidden_size": 12,
  "depth": 2,
  "num_heads": 2,
  "mlp_ratio": 4.0,
  "num_classes": 3,
  "class_dropout_prob": 0.1,
  "batch": 2,
  "points": 40,
}
OPTIONS = [
  {"patch_size": 4, "mlp_ratio": 1.5},
  {"patch_size": 1, "input_size": 4, "depth": 1, "num_heads": 3},
  {"patch_size": 8, "hidden_size": 18, "points": 7},
  {"input_size": 6, "patch_size": 3, "num_classes": 1, "batch": 3},
  {"class_dropout_prob": 0.0},
]


def table_of_positions(width, grid):
  third = width // 3
  omega = 1e4 ** (-np.arange(third // 2) / (third / 2))
  waves = lambda n: np.concatenate([np.sin(n * omega), np.cos(n * omega)])
  return np.array(
    [
      np.concatenate([waves(n) for n in place])
      for place in np.ndindex(grid, grid, grid)
    ]
  )


def block(p, name, x, c, config):
  mods = np.split(linear(p, f"{name}.adaLN_modulation.1", c), 6, axis=1)
  y = numpydit.modulate(numpydit.layer_norm(x), mods[0], mods[1])
  y = numpydit.attention(p, f"{name}.attn", y, config=config, grid=None)
  x = x + mods[2][:, None] * y
  y = numpydit.modulate(numpydit.layer_norm(x), mods[3], mods[4])
  h = linear(p, f"{name}.mlp.fc1", y)
  h = h * (1 + scipy.special.erf(h / 2**0.5)) / 2
  return x + mods[5][:, None] * linear(p, f"{name}.mlp.fc2", h)


def voxelised(x, side):
  """(coordinates [b, 3, n], mean points [b, 3, side, side, side])."""
  c = x - x.mean(2, keepdims=True)
  far = np.linalg.norm(c, axis=1).max(1)[:, None, None]
  coords = np.clip((c / (2 * far) + 0.5) * side, 0, side - 1)
  near, grid = np.rint(coords).astype(int), np.zeros((len(x), 3) + (side,) * 3)
  count = np.zeros((len(x), 1) + (side,) * 3)
  for b, n in np.ndindex(len(x), x.shape[2]):
    cell = (b, slice(None), *near[b, :, n])
    grid[cell] += x[b, :, n]
    count[cell] += 1
  return coords, grid / np.maximum(count, 1)


def forward(config, p, x, t, y):
  """The noise [b, 3, n] of points x [b, 3, n]."""
  patch, side, b = config["patch_size"], config["input_size"], len(x)
  grid = side // patch
  coords, volume = voxelised(x, side)
  kernel = p["x_embedder.proj.weight"]
  cut = volume.reshape(b, 3, grid, patch, grid, patch, grid, patch)
  tokens = np.einsum("bcxpyqzr,dcpqr->bxyzd", cut, kernel)
  tokens = tokens.reshape(b, grid**3, -1) + p["x_embedder.proj.bias"]
  tokens = tokens + table_of_positions(config["hidden_size"], grid)
  waves = t[:, None] * np.exp(-np.log(1e4) * np.arange(128) / 128)
  emb = np.concatenate([np.cos(waves), np.sin(waves)], axis=1)
  emb = linear(p, "t_embedder.mlp.2", silu(linear(p, "t_embedder.mlp.0", emb)))
  cond = silu(emb + p["y_embedder.embedding_table.weight"][y])
  embedded = tokens
  for i in range(config["depth"]):
    tokens = block(p, f"blocks.{i}", tokens, c=cond, config=config)
  mods = linear(p, "final_layer.adaLN_modulation.1", cond)
  h = numpydit.modulate(numpydit.layer_norm(tokens), *np.split(mods, 2, axis=1))
  h = linear(p, "final_layer.linear", h)
  h = h.reshape(b, grid, grid, grid, patch, patch, patch, 3)
  h = np.einsum("bxyzpqrc->bcxpyqzr", h).reshape(b, 3, side, side, side)
  read = lambda i, c: scipy.ndimage.map_coordinates(h[i, c], coords[i], order=1)
  return embedded, np.array([[read(i, c) for c in range(3)] for i in range(b)])


def case_of(config):
  """A case with random weights, in the authors' names."""
  adapter = golden_kit.adapter("fastdit3d")
  m, b = adapter.method(config), config["batch"]
  shapes = jax.eval_shape(lambda k: m.init(k, None)[0], jax.random.key(0))
  params = golden_kit.weights(shapes, seed=3, scale=0.3)["main"]
  theirs = table.export_tree(adapter.convert.full(m), params)
  if not config["class_dropout_prob"]:
    theirs[golden_kit.LABELS] = theirs[golden_kit.LABELS][:-1]
  inputs = {
    "points": golden_kit.normal(b, 3, config["points"], seed=1),
    "noise": golden_kit.normal(b, 3, config["points"], seed=2),
    "t": np.arange(b) * 300 + 5,
    "y": np.arange(b) % config["num_classes"],
  }
  return adapter, golden_kit.Asked(config, inputs, theirs)


@pytest.mark.parametrize("change", OPTIONS)
def test_the_adapter_equals_the_network_written_in_numpy(change):
  config = {**CONFIG, **change}
  adapter, case = case_of(config)
  case.outputs = {"grad/x_embedder.proj.weight": None}
  found, i = adapter.run(case), case.inputs
  beta = np.linspace(1e-4, 0.02, 1000)
  kept = np.cumprod(1 - beta)[i["t"]][:, None, None]
  x_t = np.sqrt(kept) * i["points"] + np.sqrt(1 - kept) * i["noise"]
  np.testing.assert_allclose(found["x_t"], x_t, atol=1e-5)
  wide = {k: v.astype(np.float64) for k, v in case.params.items()}
  # From their points: a coordinate that rounds otherwise is another voxel.
  tokens, eps = forward(
    config, wide, np.float64(found["x_t"]), t=i["t"], y=i["y"]
  )
  np.testing.assert_allclose(found["tokens"], tokens, atol=1e-4)
  scale = np.abs(eps).max()
  np.testing.assert_allclose(found["eps_pred"], eps, atol=1e-4 * scale)
  loss = ((eps - i["noise"]) ** 2).mean()
  np.testing.assert_allclose(found["loss"], loss, rtol=1e-4)
  gradient = found["grad/x_embedder.proj.weight"]
  assert gradient.shape == case.params["x_embedder.proj.weight"].shape
  assert np.abs(gradient).max() > 0
