"""The adapter of Step-Video's transformer on options that no given case has.

The network once more in numpy, from the authors' names and layouts, one head
and one sample at a time.
"""

import einops
import golden_kit
import jax
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import step_video as convert
from jmim.core import runtime
from jmim.nn import sizes
from jmim.nn.nets import video_dit

ADAPTER = golden_kit.adapter("step_video")
BASE = {
  "heads": 2,
  "head_dim": 16,
  "rope_ch_split": [8, 4, 4],
  "layers": 2,
  "in_channels": 3,
  "patch": 1,
  "caption_channels": [10, 6],
  "use_additional_conditions": False,
  "sampler_steps": 5,
  "time_shift": 13.0,
  "reverse": False,
}
CASES = {
  "patches of 2": {"patch": 2},
  "unequal axes": {"rope_ch_split": [2, 10, 4], "layers": 1, "time_shift": 7.0},
  "resolution, frames and rates": {
    "use_additional_conditions": True,
    "rope_ch_split": [4, 0, 12],
  },
  "resolution and frames, patches": {
    "use_additional_conditions": True,
    "patch": 2,
    "no_rate": True,
  },
  "resolution, frames and one rate in the config": {
    "use_additional_conditions": True,
    "layers": 1,
    "fps": 12.0,
  },
  "no CLIP, backwards": {"caption_channels": 10, "reverse": True},
}


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def wave(x):
  i = np.arange(128)
  angles = np.ravel(x)[:, None] * np.exp(-np.log(1e4) * i / 128)
  return np.concatenate([np.cos(angles), np.sin(angles)], -1)


def gelu(x):
  return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def whitened(x, eps):
  return (x - x.mean(-1, keepdims=True)) / np.sqrt(
    x.var(-1, keepdims=True) + eps
  )


def softmax(x):
  e = np.exp(x - x.max(-1, keepdims=True))
  return e / e.sum(-1, keepdims=True)


class Reference:
  def __init__(self, config, params):
    self.c, self.p = (
      config,
      {k: v.astype(np.float64) for k, v in params.items()},
    )

  def linear(self, name, x):
    y = x @ self.p[f"{name}.weight"].T
    return y + self.p.get(f"{name}.bias", 0.0)

  def embedded(self, name, x):
    name = f"adaln_single.emb.{name}_embedder"
    y = self.linear(f"{name}.linear_1", wave(x))
    return self.linear(f"{name}.linear_2", y * sigmoid(y))

  def rms(self, name, x):
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
    return x * self.p[f"{name}.weight"]

  def rotated(self, x, places):
    y, start = x.copy(), 0
    for axis, w in enumerate(self.c["rope_ch_split"]):
      half = w // 2
      for j in range(half):
        angle = places[:, axis] * 1e4 ** (-2 * j / w)
        a, b = x[:, start + j], x[:, start + half + j]
        y[:, start + j] = a * np.cos(angle) - b * np.sin(angle)
        y[:, start + half + j] = b * np.cos(angle) + a * np.sin(angle)
      start += w
    return y

  def attention(self, name, x, told, places):
    """One sample: x [n, w]; told None: its own tokens, rotated."""
    d, out = self.c["head_dim"], []
    for h in range(self.c["heads"]):
      if told is None:
        qkv = self.p[f"{name}.wqkv.weight"][3 * d * h : 3 * d * (h + 1)]
        q, k, v = np.split(x @ qkv.T, 3, axis=-1)
      else:
        q = x @ self.p[f"{name}.wq.weight"][d * h : d * (h + 1)].T
        kv = self.p[f"{name}.wkv.weight"][2 * d * h : 2 * d * (h + 1)]
        k, v = np.split(told @ kv.T, 2, axis=-1)
      q, k = self.rms(f"{name}.q_norm", q), self.rms(f"{name}.k_norm", k)
      if told is None:
        q, k = self.rotated(q, places), self.rotated(k, places)
      out.append(softmax(q @ k.T / np.sqrt(d)) @ v)
    return np.concatenate(out, -1) @ self.p[f"{name}.wo.weight"].T

  def block(self, i, x, mods, told, places):
    name = f"transformer_blocks.{i}"
    table = self.p[f"{name}.scale_shift_table"] + mods.reshape(6, -1)
    a1, b1, g1, a2, b2, g2 = table

    def normed(n, x):
      y = whitened(x, 1e-5) * self.p[f"{name}.{n}.weight"]
      return y + self.p[f"{name}.{n}.bias"]

    y = normed("norm1", x) * (1 + b1) + a1
    attended = self.attention(f"{name}.attn1", y, None, places)
    x = x + g1 * attended
    x = x + self.attention(f"{name}.attn2", x, told, places)
    y = normed("norm2", x) * (1 + b2) + a2
    y = gelu(self.linear(f"{name}.ff.net.0.proj", y))
    return x + g2 * self.linear(f"{name}.ff.net.2", y), attended

  def sample(self, n, i):
    """Outputs of sample n."""
    p, x = self.c["patch"], i["x"][n].astype(np.float64)
    f, _, h, w = x.shape
    h, w = h // p, w // p
    kernel = self.p["pos_embed.proj.weight"]
    patches = einops.rearrange(x, "f c (h p) (w q) -> (f h w) c p q", p=p, q=p)
    tokens = np.einsum("ncpq,dcpq->nd", patches, kernel)
    tokens = tokens + self.p["pos_embed.proj.bias"]
    e = self.embedded("timestep", 1000 * i["t"][n])[0]
    if self.c["use_additional_conditions"]:
      e = e + self.embedded("resolution", np.array([h, w])).reshape(-1)
      e = e + self.embedded("nframe", f)[0]
      fps = i["fps"][n] if "fps" in i else self.c.get("fps")
      if fps is not None:
        e = e + self.embedded("fps", fps)[0]
    mods = self.linear("adaln_single.linear", e * sigmoid(e))
    told = self.linear(
      "caption_projection.linear_1", whitened(i["text"][n], 1e-6)
    )
    told = self.linear("caption_projection.linear_2", gelu(told))
    if "clip" in i:
      clip = self.linear("clip_projection", i["clip"][n])
      told = np.concatenate([clip, told])
    told = told[: int(i["mask"][n].sum())]
    places = np.array(list(np.ndindex(f, h, w)))
    first = None
    for layer in range(self.c["layers"]):
      tokens, attended = self.block(
        layer, tokens, mods=mods, told=told, places=places
      )
      first = first or (attended, tokens)
    shift, scale = self.p["scale_shift_table"] + e
    y = self.linear("proj_out", whitened(tokens, 1e-6) * (1 + scale) + shift)
    y = einops.rearrange(
      y, "(f h w) (p q c) -> f c (h p) (w q)", f=f, h=h, w=w, p=p, q=p
    )
    return {"adaln": mods, "attn1": first[0], "block0": first[1], "velocity": y}

  def walk(self, i):
    k, n = self.c["time_shift"], self.c["sampler_steps"]
    s = np.linspace(1, 0, n + 1)
    s = k * s / (1 + (k - 1) * s)
    times = s if self.c["reverse"] else 1 - s
    z, states = i["z0"].astype(np.float64), []
    for step in range(n):
      z = z + i["velocities"][step] * (times[step + 1] - times[step])
      states.append(z)
    return {"sigmas": times, "z": np.stack(states)}


def made(options):
  """(case, numpy's outputs) with arrays of their names."""
  config = BASE | options
  rates = not config.pop("no_rate", False)
  clip = isinstance(config["caption_channels"], list)
  text, *more = np.atleast_1d(config["caption_channels"])
  b, side = 2, 2 * config["patch"]
  inputs = {
    "x": golden_kit.normal(b, 3, config["in_channels"], side, 2 * side),
    "t": np.array([0.2, 0.9], np.float32),
    "text": golden_kit.normal(b, 5, text, seed=1),
    "mask": np.ones((b, 5 + 2 * clip), np.float32),
    "velocities": golden_kit.normal(config["sampler_steps"], 2, 3, seed=2),
    "z0": golden_kit.normal(2, 3, seed=3),
  }
  inputs["mask"][1, 3 + clip :] = 0
  if clip:
    inputs["clip"] = golden_kit.normal(b, 2, *more, seed=4)
  extra = config["use_additional_conditions"]
  if extra and rates and "fps" not in config:
    inputs["fps"] = np.array([24.0, 8.0], np.float32)
  # Their embedding of a rate exists whether one is told or not.
  net = video_dit.VideoDiT(
    size=sizes.Size(width=32, depth=config["layers"], heads=2),
    patch=config["patch"],
    axes=tuple(config["rope_ch_split"]),
    out=config["in_channels"],
    sizes_told="rate" if extra else "none",
    rt=runtime.Runtime(),
  )
  told = video_dit.Told(
    text=inputs["text"],
    clip=inputs.get("clip"),
    valid=np.array([5, 5]),
    fps=np.ones(b, np.float32),
  )
  x = einops.rearrange(inputs["x"], "b t c h w -> b t h w c")
  like = jax.eval_shape(net.init, jax.random.key(0), x, inputs["t"], told)
  tree = golden_kit.weights(like["params"])
  params = table.export_tree(convert.network(net, clip), tree)
  case = golden_kit.Asked(config, inputs, params)
  numpy = Reference(config, params)
  samples = [numpy.sample(n, inputs) for n in range(b)]
  wanted = {k: np.stack([s[k] for s in samples]) for k in samples[0]}
  return case, wanted | numpy.walk(inputs)


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_options(options):
  case, wanted = made(options)
  found = ADAPTER.run(case)
  assert set(found) == set(wanted)
  for name, reference in wanted.items():
    np.testing.assert_allclose(
      found[name], reference, atol=2e-4 * abs(reference).max(), err_msg=name
    )
