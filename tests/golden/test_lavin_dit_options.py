"""The adapter of LaVin-DiT on options that no given case has, against numpy.

The network once more, from the authors' names and layouts: as many heads of
keys as of queries, several frames of a target, sides that differ.
"""

import golden_kit
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import lavin_dit as convert

ADAPTER = golden_kit.adapter("lavin_dit")
BASE = {
  "hidden": 24,
  "depth": 2,
  "heads": 4,
  "kv_group": 2,
  "in_channels": 3,
  "patch": [2, 2],
  "cond_frames": 3,
  "target_frames": 1,
  "H": 2,
  "W": 2,
  "cfg_scale": 1.5,
}
CASES = {
  "plain attention": {"kv_group": 1},
  "one head of keys": {"kv_group": 4},
  "more pairs, several frames": {"cond_frames": 6, "target_frames": 2},
  "sides that differ, patches of one": {"H": 2, "W": 5, "patch": [1, 1]},
  "patches that are wider than high": {"H": 3, "W": 2, "patch": [1, 2]},
  "three blocks": {"depth": 3, "cfg_scale": 4.0},
}


def rms(x, gain=1.0):
  return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * gain


def silu(x):
  return x / (1 + np.exp(-x))


class Theirs:
  """The authors' network, by their names."""

  def __init__(self, config, params):
    self.c, self.p = config, params

  def linear(self, name, x):
    bias = self.p.get(f"{name}.bias", 0.0)
    return x @ self.p[f"{name}.weight"].T + bias

  def tokens(self, frames):
    """[b, c, t, h, w] -> [b, t h w, ph pw c]."""
    p, q = self.c["patch"]
    b, c, t, h, w = frames.shape
    x = frames.reshape(b, c, t, h // p, p, w // q, q)
    return x.transpose(0, 2, 3, 5, 4, 6, 1).reshape(b, -1, p * q * c)

  def embed(self, name, frames):
    x = self.linear(f"{name}_embedder.0", self.tokens(frames))
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
    gain, bias = (self.p[f"{name}_embedder.1.{n}"] for n in ("weight", "bias"))
    return x * gain + bias

  def time(self, t):
    omega = 10000.0 ** (-np.arange(128) / 128)
    waves = t[:, None] * omega
    waves = np.concatenate([np.cos(waves), np.sin(waves)], -1)
    y = silu(self.linear("t_embedder.mlp.0", waves))
    return self.linear("t_embedder.mlp.2", y)

  def rope(self, x, frames):
    """[b, h, n, d] by places (frame, row, column), a third of d each."""
    grid = (frames, self.c["H"], self.c["W"])
    part, turned = x.shape[-1] // 3, []
    for axis in range(3):
      place = np.array(list(np.ndindex(*grid)))[:, axis]
      angle = place[:, None] * 10000.0 ** (-np.arange(0, part, 2) / part)
      angle = np.concatenate([angle, angle], -1)
      y = x[..., axis * part : (axis + 1) * part]
      a, b = np.split(y, 2, -1)
      half = np.concatenate([-b, a], -1)
      turned.append(y * np.cos(angle) + half * np.sin(angle))
    return np.concatenate(turned, -1)

  def attention(self, at, streams, frames):
    c = self.c
    every = {}
    for kind, count in (("q", c["heads"]), ("k", 0), ("v", 0)):
      count = count or c["heads"] // c["kv_group"]
      both = []
      for name, x in streams.items():
        y = self.linear(f"{at}.{name}_{kind}", x)
        if kind != "v":
          y = rms(y, self.p[f"{at}.{name}_{kind}norm.weight"])
        both.append(y.reshape(*y.shape[:2], count, -1).swapaxes(1, 2))
      every[kind] = np.concatenate(both, 2)
    q, k = (self.rope(every[n], frames) for n in "qk")
    out = np.zeros_like(q)
    for h in range(c["heads"]):
      j = h // c["kv_group"]
      logits = np.einsum("btd,bsd->bts", q[:, h], k[:, j])
      a = np.exp(logits / np.sqrt(q.shape[-1]))
      out[:, h] = a / a.sum(-1, keepdims=True) @ every["v"][:, j]
    y = out.swapaxes(1, 2).reshape(q.shape[0], q.shape[2], -1)
    n = streams["cond"].shape[1]
    parts = {"cond": y[:, :n], "x": y[:, n:]}
    return {m: self.linear(f"{at}.{m}_proj", part) for m, part in parts.items()}

  def __call__(self, x, t, cond):
    c, frames = self.c, cond.shape[2] + x.shape[2]
    temb = self.time(t)
    told = {
      "cond": silu(temb + self.p["prompt_embed"]),
      "x": silu(temb + self.p["answer_embed"]),
    }
    streams = {"cond": self.embed("cond", cond), "x": self.embed("x", x)}
    taps = []
    for i in range(c["depth"]):
      at = f"blocks.{i}"
      mods = {
        n: np.split(
          self.linear(f"{at}.{n}_modulation.1", told[n])[:, None], 4, -1
        )
        for n in streams
      }
      normed = {n: (1 + mods[n][0]) * rms(s) for n, s in streams.items()}
      read = self.attention(f"{at}.joint_attn", normed, frames)
      for n, s in streams.items():
        s = s + np.tanh(mods[n][1]) * rms(read[n])
        y = (1 + mods[n][2]) * rms(s)
        gate, up = (
          self.linear(f"{at}.{n}_mlp.{m}_proj", y) for m in ("gate", "up")
        )
        y = self.linear(f"{at}.{n}_mlp.down_proj", silu(gate) * up)
        streams[n] = s + np.tanh(mods[n][3]) * rms(y)
      taps.append(dict(streams))
    scale = self.linear("final_layer.adaLN_modulation.1", told["x"])
    y = rms(streams["x"]) * (1 + scale[:, None])
    y = self.linear("final_layer.linear", y)
    p, q = c["patch"]
    y = y.reshape(len(y), -1, c["H"], c["W"], p, q, c["in_channels"])
    y = y.transpose(0, 6, 1, 2, 4, 3, 5)
    b, channels, f = y.shape[:3]
    return y.reshape(b, channels, f, c["H"] * p, c["W"] * q), taps


@pytest.mark.parametrize("name", CASES)
def test_equals_their_formulas(name):
  config = BASE | CASES[name]
  m = ADAPTER.method(config)
  like = golden_kit.jax.eval_shape(m.init, golden_kit.jax.random.key(0), {})[0]
  ours = golden_kit.weights(like["main"])
  params = table.export_tree(convert.full(), ours)
  p, q = config["patch"]
  sides = (config["H"] * p, config["W"] * q)
  shape = lambda n: (2, config["in_channels"], n, *sides)
  x1, x0 = (
    golden_kit.normal(*shape(config["target_frames"]), seed=s) for s in (0, 1)
  )
  cond = golden_kit.normal(*shape(config["cond_frames"]), seed=2)
  t = np.float32([0.3, 0.8])
  inputs = {"x1": x1, "x0": x0, "cond": cond, "t": t}
  found = ADAPTER.run(golden_kit.Asked(config, inputs, params))
  net = Theirs(config, {n: np.float64(a) for n, a in params.items()})
  u = t[:, None, None, None, None]
  xt = u * x1 + (1 - u) * x0
  v, taps = net(xt, t, cond)
  null = np.concatenate([np.zeros_like(cond[:, :, :1]), cond[:, :, -1:]], 2)
  none, _ = net(xt, t, null)
  gap = v - (x1 - x0)
  near = dict(atol=2e-4, rtol=2e-4)
  np.testing.assert_allclose(found["velocity"], v, **near)
  np.testing.assert_allclose(
    found["loss"], (gap**2).mean() + 0.1 * np.abs(gap).mean(), rtol=1e-4
  )
  scale = config["cfg_scale"]
  np.testing.assert_allclose(found["guided"], none + scale * (v - none), **near)
  for i, streams in enumerate(taps):
    for n, s in streams.items():
      np.testing.assert_allclose(found[f"block{i}_{n}"], s, **near)


def test_gradients_have_their_names_and_layouts():
  """d loss / d (bias of the last layer), by differences."""
  m = ADAPTER.method(BASE)
  like = golden_kit.jax.eval_shape(m.init, golden_kit.jax.random.key(0), {})[0]
  params = table.export_tree(convert.full(), golden_kit.weights(like["main"]))
  shape = lambda n: (2, 3, n, 4, 4)
  inputs = {
    "x1": golden_kit.normal(*shape(1)),
    "x0": golden_kit.normal(*shape(1), seed=1),
    "cond": golden_kit.normal(*shape(3), seed=2),
    "t": np.float32([0.3, 0.8]),
  }
  name = "final_layer.linear.bias"

  def run(params, outputs):
    case = golden_kit.Asked(BASE, inputs, params)
    case.outputs = outputs
    return ADAPTER.run(case)

  (grad,) = run(params, [f"grad/{name}"]).values()
  step = np.zeros(12, np.float32)
  step[5] = 1e-2
  loss = lambda by: run(params | {name: params[name] + by}, ["loss"])["loss"]
  slope = (loss(step) - loss(-step)) / 2e-2
  np.testing.assert_allclose(grad[5], slope, rtol=2e-2)


def test_a_patch_is_a_pair_or_a_number():
  one, pair = (ADAPTER.method(BASE | {"patch": p}) for p in (2, [2, 2]))
  assert one == pair and one.dims.patch == 2
