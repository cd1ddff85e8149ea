"""The adapter of NViST on options that no given case has, against numpy.

The network once more, from the authors' names and layouts, in loops.
"""

import math

import golden_kit
import jax
import numpy as np
import pytest
from scipy import special

from jmim.convert import table
from jmim.convert.tables import nvist as convert

ADAPTER = golden_kit.adapter("nvist")
BASE = {
  "image_hw": [8, 12],
  "encoder_patch_size": 4,
  "embed_dim": 16,
  "encoder_depth": 1,
  "num_heads": 2,
  "resolution": 6,
  "decoder_patch_size": 3,
  "decoder_depth": 2,
  "decoder_output_dim": 5,
  "sigma_dim": 2,
  "rgb_dim": 3,
  "rgb_feature_dim": 6,
  "camera_pe_freq": 4,
  "viewdir_pe": 4,
  "n_samples": 7,
  "aabb": [[-0.8] * 3, [0.8] * 3],
  "near_far": [0.3, 1.9],
  "num_encoded_patches": 6,
  "adaln": True,
  "kv_separate_norm": True,
}
CASES = {
  "landscape, three blocks": {"decoder_depth": 3, "encoder_depth": 2},
  "portrait, other patches": {
    "image_hw": [15, 10],
    "encoder_patch_size": 5,
    "decoder_patch_size": 2,
  },
  "one block, a box of its own, other waves": {
    "decoder_depth": 1,
    "aabb": [[-0.5, -0.9, -0.7], [0.9, 0.6, 0.8]],
    "camera_pe_freq": 2,
    "viewdir_pe": 3,
  },
  "the norm of queries for all": {"kv_separate_norm": False},
  "a camera as a patch": {"adaln": False},
  "both": {"adaln": False, "kv_separate_norm": False, "decoder_depth": 3},
  "no blocks, cells of one": {"decoder_depth": 0, "decoder_patch_size": 1},
}


def gelu(x):
  return x * (1 + special.erf(x / math.sqrt(2))) / 2


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def bilinear(grid, x, y):
  """[c, h, w] at normalised x, y; zero padding, align_corners False."""
  h, w = grid.shape[1:]
  row, column = ((y + 1) * h - 1) / 2, ((x + 1) * w - 1) / 2
  total = np.zeros(len(grid))
  for i in (math.floor(row), math.floor(row) + 1):
    for j in (math.floor(column), math.floor(column) + 1):
      if 0 <= i < h and 0 <= j < w:
        weight = (1 - abs(row - i)) * (1 - abs(column - j))
        total += weight * grid[:, i, j]
  return total


class Theirs:
  """Their network, one image at a time."""

  def __init__(self, config, params):
    self.c, self.p = config, params

  def linear(self, name, x):
    return x @ self.p[f"{name}.weight"].T + self.p[f"{name}.bias"]

  def norm(self, x, name=None):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(
      x.var(-1, keepdims=True) + 1e-6
    )
    if name is None:
      return x
    return x * self.p[f"{name}.weight"] + self.p[f"{name}.bias"]

  def attend(self, q, k, v):
    heads = self.c["num_heads"]
    split = lambda x: np.split(x, heads, axis=-1)
    out = []
    for a, b, c in zip(split(q), split(k), split(v), strict=True):
      logits = a @ b.T / math.sqrt(a.shape[-1])
      share = np.exp(logits - logits.max(-1, keepdims=True))
      out.append(share / share.sum(-1, keepdims=True) @ c)
    return np.concatenate(out, axis=-1)

  def mlp(self, name, x):
    return self.linear(f"{name}.fc2", gelu(self.linear(f"{name}.fc1", x)))

  def encoder(self, image):
    """[1 + n, w] of [3, h, w] in 0 .. 1."""
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    x = (image - mean[:, None, None]) / std[:, None, None]
    p, (h, w) = self.c["encoder_patch_size"], x.shape[1:]
    kernel = self.p["encoder.patch_embed.proj.weight"]
    tokens = [
      np.tensordot(kernel, x[:, i : i + p, j : j + p], 3)
      + self.p["encoder.patch_embed.proj.bias"]
      for i in range(0, h, p)
      for j in range(0, w, p)
    ]
    x = np.concatenate([self.p["encoder.cls_token"][0], tokens])
    x = x + self.p["encoder.pos_embed"][0]
    for i in range(self.c["encoder_depth"]):
      name = f"encoder.blocks.{i}"
      y = self.norm(x, f"{name}.norm1")
      q, k, v = np.split(self.linear(f"{name}.attn.qkv", y), 3, axis=-1)
      x = x + self.linear(f"{name}.attn.proj", self.attend(q, k, v))
      x = x + self.mlp(f"{name}.mlp", self.norm(x, f"{name}.norm2"))
    return x

  def decoder(self, latent, camera):
    """planes [3, c, R, R] and lines [3, c, R]."""
    waves = [
      [f(math.pi * 2**k * v) for v in camera for k in range(n)]
      for n in [self.c["camera_pe_freq"]]
      for f in (np.sin, np.cos)
    ]
    code = np.concatenate([camera, *waves])
    name = "decoder.camera_params_embed"
    code = np.maximum(self.linear(f"{name}.0", code), 0)
    code = self.linear(f"{name}.2", code)
    side = self.c["resolution"] // self.c["decoder_patch_size"]
    count = 3 * side * side + 3 * side
    x = np.repeat(self.p["decoder.output_token"][0], count, axis=0)
    x = np.concatenate([latent[:1], x])
    x = x + self.p["decoder.decoder_pos_embed"][0]
    told = latent[1:] + self.p["decoder.encoded_patches_pos_embed"][0]
    adaln, own = self.c["adaln"], self.c["kv_separate_norm"]
    if not adaln:
      told = np.concatenate([told, code[None]])
    for i in range(self.c["decoder_depth"]):
      name = f"decoder.blocks.{i}"
      a, b, c, d, e, f = 0, 0, 1, 0, 0, 1
      first, second = (None if adaln else f"{name}.norm{n}" for n in (1, 2))
      if adaln:
        mods = self.linear(f"{name}.adaLN_modulation.1", code * sigmoid(code))
        a, b, c, d, e, f = np.split(mods, 6)
      y = keys = values = self.norm(x, first) * (1 + b) + a
      if i % 2 == 0 or not adaln:
        asked = told if i % 2 == 0 else x
        keys, values = (
          self.norm(asked, f"{name}.norm_{n}" if own else first) for n in "kv"
        )
      inputs = zip("qkv", (y, keys, values), strict=True)
      q, k, v = (self.linear(f"{name}.attn.{n}", t) for n, t in inputs)
      x = x + c * self.linear(f"{name}.attn.proj", self.attend(q, k, v))
      x = x + f * self.mlp(f"{name}.mlp", self.norm(x, second) * (1 + e) + d)
    return self.grids(x[1:], side)

  def grids(self, x, side):
    p, c = self.c["decoder_patch_size"], self.c["decoder_output_dim"]
    size = self.c["resolution"]
    planes, lines = np.zeros((3, c, size, size)), np.zeros((3, c, size))
    first = gelu(self.norm(x[: 3 * side**2], "decoder.decoder_out_norm.0"))
    rest = gelu(self.norm(x[3 * side**2 :], "decoder.decoder_vector_norm.0"))
    for k in range(3):
      for n in range(side**2):
        patch = self.linear(f"decoder.decoder_pred.{k}", first[k * side**2 + n])
        i, j = p * (n // side), p * (n % side)
        patch = np.moveaxis(patch.reshape(p, p, c), -1, 0)
        planes[k, :, i : i + p, j : j + p] = patch
      for n in range(side):
        patch = self.linear(
          f"decoder.decoder_vector_pred.{k}", rest[k * side + n]
        )
        lines[k, :, p * n : p * n + p] = patch.reshape(p, c).T
    return planes, lines

  def ray(self, planes, lines, origin, way, jitter):
    """rgb, depth, weights and distortion of one ray."""
    near, far = self.c["near_far"]
    n, density = self.c["n_samples"], self.c["sigma_dim"]
    step, way = (far - near) / n, way / np.linalg.norm(way)
    ends = near + step * np.arange(n + 1)
    ends[:-1] += step * jitter[:-1]
    middles, widths = (ends[1:] + ends[:-1]) / 2, np.diff(ends)
    low, high = np.array(self.c["aabb"])
    rgb, weights, through = np.zeros(3), np.zeros(n), 1.0
    for s in range(n):
      point = 2 * (origin + middles[s] * way - low) / (high - low) - 1
      values = [
        bilinear(planes[k], point[a], point[b])
        * bilinear(lines[k][..., None], 0.0, point[c])
        for k, (a, b, c) in enumerate([(0, 1, 2), (2, 0, 1), (1, 2, 0)])
      ]
      sigma = max(0.0, sum(v[:density].sum() for v in values))
      features = gelu(np.concatenate([v[density:] for v in values]))
      x = gelu(self.linear("renderer.rgb_matrix.1", features))
      waves = [
        [f(2**k * v) for v in way for k in range(self.c["viewdir_pe"])]
        for f in (np.sin, np.cos)
      ]
      x = np.concatenate([x, *waves, way])
      x = gelu(self.linear("renderer.rgb_mlp.0", x))
      alpha = 1 - math.exp(-sigma * widths[s])
      weights[s] = through * alpha
      rgb += weights[s] * sigmoid(self.linear("renderer.rgb_mlp.2", x))
      through *= 1 - alpha + 1e-10
    apart = np.abs(middles[:, None] - middles)
    distortion = weights @ apart @ weights + (weights**2 @ widths) / 3
    return rgb, weights @ middles, weights, distortion


def given(config):
  """Inputs and weights of a case: [b, c, h, w], their names."""
  rng = np.random.default_rng(2)
  rays = 5
  inputs = {
    "image": rng.random((2, 3, *config["image_hw"])).astype("f4"),
    "camera": rng.uniform(0.8, 1.5, (2, 2)).astype("f4"),
    "ray_origin": golden_kit.normal(2, rays, 3, seed=3) * 0.1
    + np.array([0, 0, -1], "f4"),
    "ray_direction": golden_kit.normal(2, rays, 3, seed=4) * 0.3
    + np.array([0, 0, 2], "f4"),
    "rgb_target": rng.random((2, rays, 3)).astype("f4"),
    "jitter": rng.random((1, config["n_samples"] + 1)).astype("f4"),
  }
  m = ADAPTER.method(config)
  batch = {"image": np.zeros((2, 1, *config["image_hw"], 3), "f4")}
  like, _ = jax.eval_shape(m.init, jax.random.key(0), batch)
  ours = golden_kit.weights(like["main"], scale=0.4)
  for head in ("plane_0", "line_0"):  # so that there is something to see
    bias = ours["decoder"][head]["bias"].reshape(-1, config["sigma_dim"] + 3)
    bias[:, : config["sigma_dim"]] += 2
  return inputs, table.export_tree(convert.full(m), ours)


@pytest.mark.parametrize("name", CASES)
def test_options(name):
  config = BASE | CASES[name]
  p, (h, w) = config["encoder_patch_size"], config["image_hw"]
  config["num_encoded_patches"] = (h // p) * (w // p)
  inputs, params = given(config)
  case = golden_kit.Asked(config, inputs, params)
  case.outputs = [
    *("latent", "planes", "lines", "rgb", "depth", "weight", "distloss"),
    *("rgb_train", "distloss_train", "loss_train"),
  ]
  found = ADAPTER.run(case)
  theirs = Theirs(config, params)
  plain = np.zeros(config["n_samples"] + 1)
  rows = {n: [] for n in ("rgb", "depth", "weight", "distortion")}
  trained = {n: [] for n in rows}
  for b in range(2):
    latent = theirs.encoder(inputs["image"][b])
    planes, lines = theirs.decoder(latent, inputs["camera"][b])
    close = lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4, rtol=2e-4)
    close(found["latent"][b], latent)
    close(found["planes"][:, b], planes)
    close(found["lines"][:, b, ..., 0], lines)
    for jitter, into in ((plain, rows), (inputs["jitter"][0], trained)):
      for o, d in zip(
        inputs["ray_origin"][b], inputs["ray_direction"][b], strict=True
      ):
        made = theirs.ray(planes, lines, origin=o, way=d, jitter=jitter)
        for n, value in zip(into, made, strict=True):
          into[n].append(value)
  flat = lambda x, n: np.asarray(x).reshape(-1, *np.shape(n)[1:])
  for n in ("rgb", "depth", "weight"):
    close(flat(found[n], rows[n]), rows[n])
  close(found["distloss"], np.mean(rows["distortion"]))
  close(flat(found["rgb_train"], trained["rgb"]), trained["rgb"])
  error = np.array(trained["rgb"]) - inputs["rgb_target"].reshape(-1, 3)
  loss = (error**2).mean() + 0.001 * np.mean(trained["distortion"])
  close(found["loss_train"], loss)
  assert np.sum(rows["weight"]) > 0.1
