"""The UNet of latent diffusion in numpy, from its state dict alone.

Written from the definition of CompVis/latent-diffusion's `UNetModel` with the
names of its weights; NCHW. It shares no code with `jmim.nn`.
"""

import math

import numpy as np
from numpy.lib import stride_tricks

erf = np.vectorize(math.erf)


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def silu(x):
  return x * sigmoid(x)


def linear(p, name, x):
  bias = p.get(f"{name}.bias", 0.0)
  return x @ p[f"{name}.weight"].reshape(len(p[f"{name}.weight"]), -1).T + bias


def conv(p, name, x, stride=1):
  """A convolution with a kernel of 3 (pad 1) or of 1."""
  w = p[f"{name}.weight"]
  pad = w.shape[-1] // 2
  x = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
  seen = stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
  seen = seen[:, :, ::stride, ::stride]
  y = np.einsum("bchwij,ocij->bohw", seen, w)
  return y + p[f"{name}.bias"][:, None, None]


def group_norm(p, name, x, eps=1e-5):
  """32 groups over channels and places."""
  y = x.reshape(len(x), 32, -1)
  y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + eps)
  scale, bias = (p[f"{name}.{leaf}"] for leaf in ("weight", "bias"))
  return y.reshape(x.shape) * scale[:, None, None] + bias[:, None, None]


def layer_norm(p, name, x):
  y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
  return y * p[f"{name}.weight"] + p[f"{name}.bias"]


def half(x):
  b, c, h, w = x.shape
  return x.reshape(b, c, h // 2, 2, w // 2, 2).mean((3, 5))


def twice(x):
  return x.repeat(2, axis=2).repeat(2, axis=3)


def softmax(x):
  x = np.exp(x - x.max(-1, keepdims=True))
  return x / x.sum(-1, keepdims=True)


def res(p, name, x, emb, change=lambda x: x, told=None, gain=None):
  """A residual block; scale and shift if its map of the time is as wide.

  `told` is a second vector (PDAE), whose scale and shift follow; `gain` one
  whose scale does (Diff-AE). Without a second convolution it ends before all of
  that.
  """
  y = change(silu(group_norm(p, f"{name}.in_layers.0", x)))
  y, x = conv(p, f"{name}.in_layers.2", y), change(x)
  if f"{name}.skip_connection.weight" in p:
    x = conv(p, f"{name}.skip_connection", x)
  if f"{name}.out_layers.0.weight" not in p:
    return x + y
  mods = linear(p, f"{name}.emb_layers.1", silu(emb))[:, :, None, None]
  if mods.shape[1] == 2 * y.shape[1]:
    scale, shift = np.split(mods, 2, axis=1)
    y = group_norm(p, f"{name}.out_layers.0", y) * (1 + scale) + shift
  else:
    y = group_norm(p, f"{name}.out_layers.0", y + mods)
  if told is not None:
    mods = linear(p, f"{name}.emb_z_layers.1", silu(told))[:, :, None, None]
    scale, shift = np.split(mods, 2, axis=1)
    y = y * (1 + scale) + shift
  if gain is not None:
    mods = linear(p, f"{name}.cond_emb_layers.1", silu(gain))
    y = y * (1 + mods[:, :, None, None])
  return x + conv(p, f"{name}.out_layers.3", silu(y))


def attention(p, name, x, heads, new_order):
  """`AttentionBlock`: heads are cut first, or (new order) q, k and v are."""
  b, c = x.shape[:2]
  y = group_norm(p, f"{name}.norm", x).reshape(b, c, -1).transpose(0, 2, 1)
  y = linear(p, f"{name}.qkv", y).transpose(0, 2, 1)
  if new_order:
    q, k, v = y.reshape(b, 3, heads, c // heads, -1).transpose(1, 0, 2, 3, 4)
  else:
    q, k, v = y.reshape(b, heads, 3, c // heads, -1).transpose(2, 0, 1, 3, 4)
  weight = softmax(np.einsum("bhct,bhcs->bhts", q, k) / np.sqrt(c // heads))
  y = np.einsum("bhts,bhcs->bhct", weight, v).reshape(b, c, -1)
  y = linear(p, f"{name}.proj_out", y.transpose(0, 2, 1)).transpose(0, 2, 1)
  return x + y.reshape(x.shape)


def look(p, name, x, context, heads):
  """`CrossAttention` of x [b, t, c] to a context [b, s, e]."""
  cut = lambda y: y.reshape(*y.shape[:2], heads, -1)
  q = cut(linear(p, f"{name}.to_q", x))
  k, v = (cut(linear(p, f"{name}.to_{n}", context)) for n in "kv")
  logits = np.einsum("bthc,bshc->bhts", q, k) / np.sqrt(q.shape[-1])
  y = np.einsum("bhts,bshc->bthc", softmax(logits), v).reshape(x.shape)
  return linear(p, f"{name}.to_out.0", y)


def transformer(p, name, x, context, heads, depth):
  """`SpatialTransformer`."""
  y = conv(p, f"{name}.proj_in", group_norm(p, f"{name}.norm", x, 1e-6))
  b, c, h, w = y.shape
  y = y.reshape(b, c, -1).transpose(0, 2, 1)
  for i in range(depth):
    at = f"{name}.transformer_blocks.{i}"
    z = layer_norm(p, f"{at}.norm1", y)
    y = y + look(p, f"{at}.attn1", z, context=z, heads=heads)
    z = layer_norm(p, f"{at}.norm2", y)
    y = y + look(p, f"{at}.attn2", z, context=context, heads=heads)
    z = linear(p, f"{at}.ff.net.0.proj", layer_norm(p, f"{at}.norm3", y))
    value, gate = np.split(z, 2, axis=-1)
    gate = gate * (1 + erf(gate / np.sqrt(2))) / 2
    y = y + linear(p, f"{at}.ff.net.2", value * gate)
  y = y.transpose(0, 2, 1).reshape(b, c, h, w)
  return x + conv(p, f"{name}.proj_out", y)


def encoder(config, p, x):
  """Diff-AE's encoder: the way down and the middle, then a mean."""
  attend = lambda name, x: attention(
    p, name, x, heads=config["num_heads"], new_order=False
  )
  h, at, ds = conv(p, "input_blocks.0.0", x), 1, 1
  for level in range(len(config["channel_mult"])):
    for _ in range(config["num_res_blocks"]):
      h = res(p, f"input_blocks.{at}.0", h, None)
      if ds in config["attention_resolutions"]:
        h = attend(f"input_blocks.{at}.1", h)
      at += 1
    if level < len(config["channel_mult"]) - 1:
      h = res(p, f"input_blocks.{at}.0", h, None, change=half)
      at, ds = at + 1, 2 * ds
  h = res(p, "middle_block.0", h, None)
  h = res(p, "middle_block.2", attend("middle_block.1", h), None)
  h = silu(group_norm(p, "out.0", h)).mean((2, 3))
  return linear(p, "out.3", h)


def unet(config, p, x, t, y=None, context=None, code=None, gain=None):
  """(prediction, output of the middle block, time embedding).

  With a code those of PDAE's second middle and way up, "shift_"; with a gain
  every block is told of it (Diff-AE).
  """
  get, width = config.get, config["model_channels"]
  waves = np.exp(-np.log(1e4) * np.arange(width // 2) / (width // 2))
  waves = t[:, None] * waves
  emb = np.concatenate([np.cos(waves), np.sin(waves)], axis=1)
  emb = linear(p, "time_embed.2", silu(linear(p, "time_embed.0", emb)))
  time = emb
  if y is not None:
    emb = emb + p["label_emb.weight"][y]

  def attend(name, x, heads):
    each = get("num_head_channels", -1)
    if each > 0:
      heads = x.shape[1] // each
    if get("use_spatial_transformer"):
      return transformer(
        p,
        name,
        x,
        context=context,
        heads=heads,
        depth=config["transformer_depth"],
      )
    return attention(
      p,
      name,
      x,
      heads=heads,
      new_order=get("use_new_attention_order", False),
    )

  def resample(name, x, change, leaf, stride, told=None):
    if get("resblock_updown"):
      return res(p, name, x, emb, change=change, told=told, gain=gain)
    if not get("conv_resample", True):
      return change(x)
    return conv(p, f"{name}.{leaf}", twice(x) if leaf == "conv" else x, stride)

  heads, levels = get("num_heads", -1), len(config["channel_mult"])
  up_heads, at, ds = get("num_heads_upsample", heads), 1, 1
  # DifFace has a number of blocks for each level.
  blocks = np.broadcast_to(config["num_res_blocks"], levels)
  h = conv(p, "input_blocks.0.0", x)
  skips = [h]
  for level in range(levels):
    for _ in range(blocks[level]):
      h = res(p, f"input_blocks.{at}.0", h, emb, gain=gain)
      if ds in config["attention_resolutions"]:
        h = attend(f"input_blocks.{at}.1", h, heads)
      skips.append(h)
      at += 1
    if level < levels - 1:
      h = resample(f"input_blocks.{at}.0", h, half, leaf="op", stride=2)
      skips.append(h)
      at, ds = at + 1, 2 * ds
  of, told = ("", None)
  if code is not None:
    of, told = "shift_", linear(p, "label_emb", code)
  h = res(p, f"{of}middle_block.0", h, emb, told=told, gain=gain)
  h = attend(f"{of}middle_block.1", h, heads)
  middle = h = res(p, f"{of}middle_block.2", h, emb, told=told, gain=gain)
  at = 0
  for level in reversed(range(levels)):
    for i in range(blocks[level] + 1):
      h = np.concatenate([h, skips.pop()], axis=1)
      where = f"{of}output_blocks.{at}"
      h = res(p, f"{where}.0", h, emb, told=told, gain=gain)
      attends = ds in config["attention_resolutions"]
      if attends:
        h = attend(f"{where}.1", h, up_heads)
      if level and i == blocks[level]:
        where = f"{where}.{1 + attends}"
        h = resample(where, h, twice, leaf="conv", stride=1, told=told)
        ds = ds // 2
      at += 1
  h = silu(group_norm(p, f"{of}out.0", h))
  return conv(p, f"{of}out.2", h), middle, time
