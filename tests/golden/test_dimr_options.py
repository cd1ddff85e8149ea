"""The adapter of DiMR on options that no given case has, against numpy.

The network once more, from the authors' names and layouts, in loops.
"""

import math

import einops
import golden_kit
import jax
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import dimr as convert

ADAPTER = golden_kit.adapter("dimr")
SIDE = 8


def stage(kind, dim, blocks, patch, reduced=1, kernel=7, last=3):
  side = SIDE // patch // reduced
  return {
    "block_type": kind,
    "dim": dim,
    "hidden_dim": 3 * dim // 2,
    "num_attention_heads": 2,
    "kernel_size": kernel,
    "num_blocks": blocks,
    "max_height": side,
    "max_width": side,
    "image_input_ratio": reduced,
    "input_feature_ratio": patch,
    "final_kernel_size": last,
    "dropout_prob": 0,
  }


T, C = "TransformerBlock", "ConvNeXtBlock"
TWO = [stage(T, 16, 3, 2), stage(C, 8, 2, 1)]
CASES = {
  "three stages, one of a reduced image, LayerNorm": {
    "norm_type": "LN",
    "stage_configs": [
      stage(T, 16, 5, 2, reduced=2, last=1),
      stage(C, 8, 1, 1, reduced=2, kernel=5),
      stage(C, 4, 2, 1, kernel=3, last=5),
    ],
    "loss_coeffs": [0.0625, 0.25, 1],
  },
  "the last stage predicts at the side of its map, of a reduced image": {
    "norm_type": "TDRMSN",
    "stage_configs": [stage(T, 16, 2, 4), stage(C, 8, 1, 1, reduced=2)],
    "loss_coeffs": [0.0625, 0.25],
  },
  "the last stage predicts at the side of its map, of patches": {
    "norm_type": "TDRMSN",
    "stage_configs": [stage(C, 8, 1, 4), stage(T, 16, 2, 2)],
    "loss_coeffs": [0.0625, 0.25],
  },
  "one stage": {
    "norm_type": "TDRMSN",
    "stage_configs": [stage(T, 16, 3, 2)],
    "loss_coeffs": [0.25],
  },
  "two transformers": {
    "norm_type": "TDRMSN",
    "stage_configs": [stage(T, 16, 2, 4), stage(T, 8, 3, 1)],
  },
  "stopped gradients, RMSNorm": {
    "norm_type": "RMSN",
    "block_grad_to_lowres": True,
    "stage_configs": TWO,
  },
  "class-conditioned": {"norm_type": "ADARMSN", "stage_configs": TWO},
  "rotary": {
    "norm_type": "TDRMSN",
    "pe_type": "Axial_RoPE",
    "num_classes": 1,
    "stage_configs": TWO,
  },
}
BASE = {
  "channels": 4,
  "num_classes": 6,
  "block_grad_to_lowres": False,
  "loss_coeffs": [0.25, 1],
}


class Theirs:
  """Their network; images [b, h, w, c]."""

  def __init__(self, config, params, log_snr):
    self.config, self.p, self.tau = config, params, log_snr / 4.0

  def timed(self, name):
    get = lambda leaf: self.p[f"{name}.{leaf}"][None]
    slope = get("nodecay_weight") + 1
    s = 1 / (1 + np.exp(-(slope * self.tau[:, None] + get("nodecay_bias"))))
    return get("param1") + s * (get("param0") - get("param1"))

  def linear(self, name, x):
    y = x @ self.p[f"{name}.weight"].T
    return y + self.p.get(f"{name}.bias", 0.0)

  def layer_norm(self, name, x):
    flat = x.reshape(len(x), -1, x.shape[-1])
    centred = flat - flat.mean(-1, keepdims=True)
    y = centred / np.sqrt(flat.var(-1, keepdims=True) + 1e-5)
    scale, bias = self.timed(f"{name}.weight"), self.timed(f"{name}.bias")
    return (scale[:, None] * y + bias[:, None]).reshape(x.shape)

  def norm(self, name, x):
    kind = self.config["norm_type"]
    if kind == "LN":
      return self.layer_norm(name, x)
    flat = x.reshape(len(x), -1, x.shape[-1])
    if kind == "ADARMSN":
      gain = self.linear(f"{name}.linear", x[:, 0])[:, None] + 1
      return x * gain / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
    size = np.linalg.norm(flat, axis=-1, keepdims=True) * flat.shape[-1] ** -0.5
    if kind == "RMSN":
      scale = self.p[f"{name}.scale"][None]
    else:
      scale = self.timed(f"{name}.scale")
    return (scale[:, None] * flat / (size + 1e-8)).reshape(x.shape)

  def conv(self, name, x, depthwise=False):
    """Of stride 1, zeros around."""
    weight = self.p[f"{name}.weight"]
    k = weight.shape[-1]
    pad = ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0))
    padded, (h, w) = np.pad(x, pad), x.shape[1:3]
    total = self.p[f"{name}.bias"]
    for i in range(k):
      for j in range(k):
        part, tap = padded[:, i : i + h, j : j + w], weight[:, :, i, j]
        total = total + (part * tap[:, 0] if depthwise else part @ tap.T)
    return total

  def attention(self, name, x, config, grid):
    heads, (b, n, dim) = config["num_attention_heads"], x.shape
    qkv = self.linear(f"{name}.query_key_value", self.norm(f"{name}.norm", x))
    qkv = qkv.reshape(b, n, 3 * heads, -1).transpose(0, 2, 1, 3)
    q, k, v = np.split(qkv, 3, axis=1)
    if self.config.get("pe_type") == "Axial_RoPE":
      q, k = (self.turned(name, self.qk_norm(name, a), grid) for a in (q, k))
    logits = q @ k.transpose(0, 1, 3, 2) * q.shape[-1] ** -0.5
    p = np.exp(logits - logits.max(-1, keepdims=True))
    y = (p / p.sum(-1, keepdims=True)) @ v
    y = y.transpose(0, 2, 1, 3).reshape(b, n, dim)
    return self.linear(f"{name}.dense", y)

  def qk_norm(self, name, x):
    scale = np.minimum(self.p[f"{name}.qk_norm.scale"], math.log(100.0))
    scale = np.exp(0.5 * scale - 0.25 * math.log(x.shape[-1]))[:, None, None]
    return x * scale / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)

  def turned(self, name, x, grid):
    edges = np.linspace(-1, 1, grid + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    pos = np.stack(np.meshgrid(centres, centres, indexing="ij"), -1)
    pos = pos.reshape(-1, 2)[:, None, None]
    freqs = np.concatenate(
      [
        pos[..., axis] * np.exp(self.p[f"{name}.pos_emb.freqs_{letter}"])
        for axis, letter in enumerate("hw")
      ],
      axis=-1,
    )
    freqs = np.repeat(freqs, 2, axis=-1).swapaxes(0, 1)
    half = np.stack([-x[..., 1::2], x[..., 0::2]], -1).reshape(x.shape)
    return x * np.cos(freqs) + half * np.sin(freqs)

  def block(self, name, x, config, grid):
    if config["block_type"] == T:
      x = x + self.attention(f"{name}.block1", x, config, grid)
    else:
      x = x + self.conv(f"{name}.block1.1", x, depthwise=True)
    name = f"{name}.block2"
    y = self.norm(f"{name}.norm", x)
    gate = self.linear(f"{name}.w0", y)
    gate = gate * (1 + np.vectorize(math.erf)(gate / math.sqrt(2))) / 2
    return x + self.linear(f"{name}.w2", gate * self.linear(f"{name}.w1", y))

  def entered(self, name, image, config):
    r, p = config["image_input_ratio"], config["input_feature_ratio"]
    x = einops.reduce(image, "b (h r) (w s) c -> b h w c", "mean", r=r, s=r)
    x = einops.rearrange(x, "b (h p) (w q) c -> b h w (c p q)", p=p, q=p)
    weight = self.p[f"{name}.1.weight"]
    x = x @ weight.reshape(len(weight), -1).T + self.p[f"{name}.1.bias"]
    rows = f"{name}.3.position_embeddings.weight"
    if rows in self.p:
      x = x + self.p[rows].reshape(x.shape[1:])
    return x

  def raised(self, name, below, config, ratio):
    y = self.linear(f"{name}.1.kernel", self.layer_norm(f"{name}.0", below))
    b, h, w, _ = y.shape
    y = y.reshape(b, h, w, ratio, ratio, config["dim"]).swapaxes(2, 3)
    y = y.reshape(b, h * ratio, w * ratio, config["dim"])
    return self.layer_norm(f"{name}.2", y)

  def stage(self, k, image, below, label):
    config, name = self.config["stage_configs"][k], f"stages.{k}"
    x = self.entered(f"{name}.input_layer", image, config)
    if below is not None:
      ratio = x.shape[1] // below.shape[1]
      x = x + self.raised(f"{name}.upsample", below, config, ratio)
    grid, token = x.shape[1], f"{name}.class_embeds.weight"
    if config["block_type"] == T:
      x = x.reshape(len(x), -1, x.shape[-1])
    if token in self.p:
      x = np.concatenate([self.p[token][label][:, None], x], axis=1)
    half, every, kept = config["num_blocks"] // 2, [x], []
    for i in range(2 * half + 1):
      if i > half:
        both = np.concatenate([x, kept.pop()], axis=-1)
        x = self.linear(f"{name}.skip_denses.{i - half - 1}", both)
      x = self.block(f"{name}.blocks.{i}", x, config, grid)
      every.append(x)
      if i < half:
        kept.append(x)
    if token in self.p:
      every = [a[:, 1:] for a in every]
    every = [a.reshape(len(x), grid, grid, -1) for a in every]
    out = self.layer_norm(f"{name}.output_layer.0", every[-1])
    out = self.conv(f"{name}.output_layer.2", out)
    return out, np.concatenate(every, axis=-1)


@pytest.mark.parametrize("name", CASES)
def test_predictions_skips_and_losses(name):
  config = BASE | CASES[name]
  inputs = {
    "x": golden_kit.normal(2, 4, SIDE, SIDE),
    "eps": golden_kit.normal(2, 4, SIDE, SIDE, seed=2),
    "n": np.asarray([1, 730], np.int32),
    "y": np.asarray([2, config["num_classes"] - 1], np.int32),
  }
  inputs["log_snr"] = (inputs["n"] / 1000 * 8 - 4).astype(np.float32)
  m = ADAPTER.method(config, SIDE)
  shapes, _ = jax.eval_shape(m.init, jax.random.key(0), {})
  params = dict(
    table.export_tree(convert.full(m), golden_kit.weights(shapes)["main"])
  )
  unread = {f"stages.{k}.pos_emb.freqs_h": np.ones(4) for k in range(2)}
  case = golden_kit.Asked(config, inputs, params | unread)
  case.outputs = ["loss"] + [
    f"{name}{k}{more}"
    for k in range(len(config["stage_configs"]))
    for name, more in (("pred_", ""), ("stage", "_skips"))
  ]
  found = ADAPTER.run(case)
  theirs = Theirs(config, params, inputs["log_snr"])
  image, below, loss = inputs["x"].transpose(0, 2, 3, 1), None, 0.0
  for k, c in enumerate(config["loss_coeffs"]):
    out, below = theirs.stage(k, image, below, inputs["y"])
    r = SIDE // out.shape[1]
    target = einops.reduce(
      inputs["eps"], "b c (h r) (w s) -> b h w c", "sum", r=r, s=r
    )
    loss = loss + c * ((out - target / r) ** 2).mean((1, 2, 3))
    close = dict(rtol=1e-4, atol=2e-4 * np.abs(below).max())
    np.testing.assert_allclose(found[f"stage{k}_skips"], below, **close)
    close = dict(rtol=1e-4, atol=2e-4 * np.abs(out).max())
    np.testing.assert_allclose(
      found[f"pred_{k}"], out.transpose(0, 3, 1, 2), **close
    )
  np.testing.assert_allclose(found["loss"], loss, rtol=1e-3)
