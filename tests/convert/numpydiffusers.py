"""Diffusers' UNets in numpy, from their state dicts alone.

Written from the definitions of `UNet2DConditionModel` and `UNet2DModel` with
the names of their weights, and DiffewS' of what self-attentions share (a bank);
NCHW. It shares no code with `jmim.nn`.
"""

import math

import numpy as np
import numpyunet as layers


def group_norm(p, name, x, groups, eps=1e-5):
  y = x.reshape(len(x), groups, -1)
  y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + eps)
  scale, bias = (p[f"{name}.{leaf}"] for leaf in ("weight", "bias"))
  return y.reshape(x.shape) * scale[:, None, None] + bias[:, None, None]


class UNet:
  """One network; `bank` and `kept` are of the pass that runs.

  Attributes:
    kept: name of a self-attention -> (keys, values) [b, heads, n, d].
    seen: name -> (input, output) of it [b, n, c].
  """

  def __init__(self, config, p):
    self.config, self.p = config, p
    self.groups = config["norm_num_groups"]
    self.eps = config.get("norm_eps", 1e-5)
    n, heads = len(config["block_out_channels"]), config["attention_head_dim"]
    self.heads = list(heads) if isinstance(heads, list) else [heads] * n

  def __call__(self, x, t, text, *, stem="conv_in", bank=None):
    p, c = self.p, self.config
    self.text, self.bank, self.kept, self.seen = text, bank or {}, {}, {}
    self.emb = self.time(t, len(x))
    y = layers.conv(p, stem, x)
    skips, n = [y], len(c["block_out_channels"])
    for i, kind in enumerate(c["down_block_types"]):
      j = 0
      while f"down_blocks.{i}.resnets.{j}.norm1.weight" in p:
        y = self.stage(f"down_blocks.{i}", j, y, kind=kind, heads=self.heads[i])
        skips.append(y)
        j += 1
      if i + 1 < n:
        y = self.half(f"down_blocks.{i}.downsamplers.0", y)
        skips.append(y)
    y = self.res("mid_block.resnets.0", y)
    y = self.transformer("mid_block.attentions.0", y, self.heads[-1])
    y = self.res("mid_block.resnets.1", y)
    for i, kind in enumerate(c["up_block_types"]):
      heads, j = self.heads[n - 1 - i], 0
      while f"up_blocks.{i}.resnets.{j}.norm1.weight" in p:
        y = np.concatenate([y, skips.pop()], 1)
        y = self.stage(f"up_blocks.{i}", j, y, kind=kind, heads=heads)
        j += 1
      if i + 1 < n:
        y = self.twice(f"up_blocks.{i}.upsamplers.0", y)
    y = layers.silu(self.norm("conv_norm_out", y))
    return layers.conv(p, "conv_out", y)

  def norm(self, name, x):
    return group_norm(self.p, name, x, self.groups, eps=self.eps)

  def half(self, name, x):
    return layers.conv(self.p, f"{name}.conv", x, 2)

  def twice(self, name, x):
    return layers.conv(self.p, f"{name}.conv", layers.twice(x))

  def time(self, t, b):
    half = self.config["block_out_channels"][0] // 2
    angles = t * np.exp(-math.log(10_000) * np.arange(half) / half)
    waves = np.concatenate([np.cos(angles), np.sin(angles)])
    hidden = layers.linear(self.p, "time_embedding.linear_1", waves[None])
    emb = layers.linear(self.p, "time_embedding.linear_2", layers.silu(hidden))
    return layers.silu(np.repeat(emb, b, 0))

  def stage(self, block, j, y, *, kind, heads):
    y = self.res(f"{block}.resnets.{j}", y)
    if kind.startswith("CrossAttn"):
      y = self.transformer(f"{block}.attentions.{j}", y, heads)
    return y

  def res(self, name, x):
    p = self.p
    y = layers.silu(self.norm(f"{name}.norm1", x))
    y = layers.conv(p, f"{name}.conv1", y)
    time = layers.linear(p, f"{name}.time_emb_proj", self.emb)
    y = y + time[:, :, None, None]
    y = layers.silu(self.norm(f"{name}.norm2", y))
    y = layers.conv(p, f"{name}.conv2", y)
    if f"{name}.conv_shortcut.weight" in p:
      x = layers.conv(p, f"{name}.conv_shortcut", x)
    return x + y

  def transformer(self, name, x, heads):
    b, c, h, w = x.shape
    y = group_norm(self.p, f"{name}.norm", x, self.groups, eps=1e-6)
    y = y.reshape(b, c, h * w).swapaxes(1, 2)
    y = layers.linear(self.p, f"{name}.proj_in", y)
    i = 0
    while f"{name}.transformer_blocks.{i}.norm1.weight" in self.p:
      y = self.block(f"{name}.transformer_blocks.{i}", y, heads)
      i += 1
    y = layers.linear(self.p, f"{name}.proj_out", y)
    return x + y.swapaxes(1, 2).reshape(b, c, h, w)

  def block(self, name, x, heads):
    p = self.p
    z = layers.layer_norm(p, f"{name}.norm1", x)
    x = x + self.attention(f"{name}.attn1", z, z, heads, own=True)
    z = layers.layer_norm(p, f"{name}.norm2", x)
    text = np.repeat(self.text, len(x), 0)
    x = x + self.attention(f"{name}.attn2", z, text, heads)
    z = layers.layer_norm(p, f"{name}.norm3", x)
    z = layers.linear(p, f"{name}.ff.net.0.proj", z)
    value, gate = np.split(z, 2, axis=-1)
    z = value * gate * 0.5 * (1 + layers.erf(gate / math.sqrt(2)))
    return x + layers.linear(p, f"{name}.ff.net.2", z)

  def attention(self, name, x, keys, heads, own=False):
    split = lambda a: a.reshape(*a.shape[:2], heads, -1).swapaxes(1, 2)
    q, k, v = (
      split(layers.linear(self.p, f"{name}.to_{which}", tokens))
      for which, tokens in (("q", x), ("k", keys), ("v", keys))
    )
    if own:
      self.kept[name] = (k, v)
      for more_k, more_v in self.bank.get(name, []):
        k, v = (np.concatenate(z, 2) for z in ((k, more_k), (v, more_v)))
    weights = layers.softmax(q @ k.swapaxes(2, 3) / math.sqrt(q.shape[-1]))
    y = (weights @ v).swapaxes(1, 2).reshape(x.shape)
    y = layers.linear(self.p, f"{name}.to_out.0", y)
    if own:
      self.seen[name] = (x, y)
    return y


class Plain(UNet):
  """`UNet2DModel`: no text; heads are given by their width."""

  def __call__(self, x, t, label=None):
    """`label`: of all images, where there are classes."""
    self.label = label
    return super().__call__(x, t, None)

  def time(self, t, b):
    p, c = self.p, self.config
    half = c["block_out_channels"][0] // 2
    powers = np.arange(half) / (half - c["freq_shift"])
    waves = [
      f(t * np.exp(-math.log(10_000) * powers)) for f in (np.sin, np.cos)
    ]
    waves = np.concatenate(waves[:: -1 if c["flip_sin_to_cos"] else 1])
    hidden = layers.linear(p, "time_embedding.linear_1", waves[None])
    emb = layers.linear(p, "time_embedding.linear_2", layers.silu(hidden))
    if self.label is not None:
      emb = emb + p["class_embedding.weight"][self.label]
    return layers.silu(np.repeat(emb, b, 0))

  def stage(self, block, j, y, *, kind, heads):
    y = self.res(f"{block}.resnets.{j}", y)
    if kind.startswith("Attn"):
      y = self.transformer(f"{block}.attentions.{j}", y, heads)
    return y

  def half(self, name, x):
    if self.config["downsample_type"] == "resnet":
      return self.res(name, x, layers.half)
    if self.config["downsample_padding"]:
      return super().half(name, x)
    # Padded behind alone: what a padding on both sides makes of odd places.
    w = {f"{name}.weight": self.p[f"{name}.conv.weight"]}
    w[f"{name}.bias"] = self.p[f"{name}.conv.bias"]
    return layers.conv(w, name, x)[:, :, 1::2, 1::2]

  def twice(self, name, x):
    if self.config["upsample_type"] == "resnet":
      return self.res(name, x, layers.twice)
    return super().twice(name, x)

  def res(self, name, x, change=lambda x: x):
    p = self.p
    y = change(layers.silu(self.norm(f"{name}.norm1", x)))
    y = layers.conv(p, f"{name}.conv1", y)
    time = layers.linear(p, f"{name}.time_emb_proj", self.emb)[:, :, None, None]
    if self.config["resnet_time_scale_shift"] == "scale_shift":
      scale, shift = np.split(time, 2, 1)
      y = self.norm(f"{name}.norm2", y) * (1 + scale) + shift
    else:
      y = self.norm(f"{name}.norm2", y + time)
    y, x = layers.conv(p, f"{name}.conv2", layers.silu(y)), change(x)
    if f"{name}.conv_shortcut.weight" in p:
      x = layers.conv(p, f"{name}.conv_shortcut", x)
    return x + y

  def transformer(self, name, x, heads):
    """Its attention; `heads` is the width of one, or None: a single one."""
    b, c, h, w = x.shape
    y = self.norm(f"{name}.group_norm", x).reshape(b, c, h * w).swapaxes(1, 2)
    y = self.attention(name, y, y, c // heads if heads else 1)
    return x + y.swapaxes(1, 2).reshape(b, c, h, w)
