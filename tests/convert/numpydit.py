"""DiT, LightningDiT and DiT-MoE in numpy, from their state dicts alone.

Written from the definitions of facebookresearch/DiT, hustvl/LightningDiT and
feizc/DiT-MoE with the names of their weights; NCHW. What a block is made of is
read off the names. It shares no code with `jmim.nn`.
"""

import numpy as np
from numpyunet import linear
from numpyunet import silu
from numpyunet import softmax


def layer_norm(x, eps=1e-6, scale=1.0, bias=0.0):
  y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
  return y * scale + bias


def rms_norm(x, scale):
  return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale


def block_norm(p, name, x):
  """RMSNorm if there is a weight, else LayerNorm without any."""
  weight = p.get(f"{name}.weight")
  return layer_norm(x) if weight is None else rms_norm(x, weight)


def head_norm(p, name, x, eps):
  """Of q or k: none, RMSNorm, or (with a bias) LayerNorm."""
  weight, bias = (p.get(f"{name}.{leaf}") for leaf in ("weight", "bias"))
  if weight is None:
    return x
  return (
    rms_norm(x, weight) if bias is None else layer_norm(x, eps, weight, bias)
  )


def rotate(x, grid):
  """x [b, h, t, d] by row (first half of d) and column, pairs side by side."""
  d = x.shape[-1]
  freq = 10_000.0 ** (-2 * np.arange(d // 4) / (d // 2))
  rows, columns = np.divmod(np.arange(grid**2), grid)
  angles = [np.repeat(n[:, None] * freq, 2, axis=1) for n in (rows, columns)]
  angle = np.concatenate(angles, axis=1)
  pairs = x.reshape(*x.shape[:-1], -1, 2)
  turned = np.stack([-pairs[..., 1], pairs[..., 0]], -1).reshape(x.shape)
  return x * np.cos(angle) + turned * np.sin(angle)


def attention(p, name, x, config, grid):
  b, t, width = x.shape
  heads = config["num_heads"]
  flash = f"{name}.Wqkv.weight" in p  # DiT-MoE's with norms of q and k
  qkv = linear(p, f"{name}.Wqkv" if flash else f"{name}.qkv", x)
  qkv = qkv.reshape(b, t, 3, heads, -1)
  q, k, v = qkv.transpose(2, 0, 3, 1, 4)
  eps = config.get("qk_eps", 1e-5)
  q, k = (
    head_norm(p, f"{name}.{n}_norm", a, eps) for n, a in (("q", q), ("k", k))
  )
  if config.get("use_rope"):
    q, k = rotate(q, grid), rotate(k, grid)
  weight = softmax(q @ k.transpose(0, 1, 3, 2) / np.sqrt(width // heads))
  y = (weight @ v).transpose(0, 2, 1, 3).reshape(b, t, width)
  return linear(p, f"{name}.out_proj" if flash else f"{name}.proj", y)


def swiglu(p, name, x):
  gate, up = (linear(p, f"{name}.{n}_proj", x) for n in ("gate", "up"))
  return linear(p, f"{name}.down_proj", silu(gate) * up)


def moe(p, name, x, config):
  scores = softmax(linear(p, f"{name}.gate", x))
  k = config["num_experts_per_tok"]
  order = np.argsort(-scores, axis=-1)[..., :k]
  weight = np.zeros_like(scores)
  chosen = np.take_along_axis(scores, order, -1)
  if config["norm_topk_prob"] and k > 1:
    chosen = chosen / chosen.sum(-1, keepdims=True)
  np.put_along_axis(weight, order, chosen, -1)
  y = 0.0
  if config["n_shared_experts"]:
    y = swiglu(p, f"{name}.shared_experts", x)
  for e in range(config["num_experts"]):
    y = y + weight[..., e : e + 1] * swiglu(p, f"{name}.experts.{e}", x)
  return y


def feed_forward(p, name, x, config):
  if f"{name}.moe.gate.weight" in p:
    return moe(p, f"{name}.moe", x, config)
  if f"{name}.mlp.w12.weight" in p:
    gate, up = np.split(linear(p, f"{name}.mlp.w12", x), 2, axis=-1)
    return linear(p, f"{name}.mlp.w3", silu(gate) * up)
  h = linear(p, f"{name}.mlp.fc1", x)
  h = h * (1 + np.tanh((2 / np.pi) ** 0.5 * (h + 0.044715 * h**3))) / 2
  return linear(p, f"{name}.mlp.fc2", h)


def modulate(x, shift, scale):
  return x * (1 + scale[:, None]) + shift[:, None]


def block(p, name, x, c, config, grid):
  mods = linear(p, f"{name}.adaLN_modulation.1", c)
  if mods.shape[1] == 4 * x.shape[-1]:
    scale1, gate1, scale2, gate2 = np.split(mods, 4, axis=1)
    shift1 = shift2 = np.zeros_like(scale1)
  else:
    shift1, scale1, gate1, shift2, scale2, gate2 = np.split(mods, 6, axis=1)
  y = modulate(block_norm(p, f"{name}.norm1", x), shift1, scale1)
  x = x + gate1[:, None] * attention(
    p, f"{name}.attn", y, config=config, grid=grid
  )
  y = modulate(block_norm(p, f"{name}.norm2", x), shift2, scale2)
  return x + gate2[:, None] * feed_forward(p, name, y, config)


def forward(config, p, x, t, y):
  """The prediction [b, c or 2 c, h, w] for noisy x [b, c, h, w]."""
  patch, (b, c, side, _) = config["patch_size"], x.shape
  grid = side // patch
  cut = x.reshape(b, c, grid, patch, grid, patch).transpose(0, 2, 4, 1, 3, 5)
  tokens = linear(p, "x_embedder.proj", cut.reshape(b, grid**2, -1))
  tokens = tokens + p["pos_embed"]
  waves = t[:, None] * np.exp(-np.log(1e4) * np.arange(128) / 128)
  emb = np.concatenate([np.cos(waves), np.sin(waves)], axis=1)
  emb = linear(p, "t_embedder.mlp.2", silu(linear(p, "t_embedder.mlp.0", emb)))
  cond = silu(emb + p["y_embedder.embedding_table.weight"][y])
  for i in range(config["depth"]):
    tokens = block(p, f"blocks.{i}", tokens, c=cond, config=config, grid=grid)
  mods = linear(p, "final_layer.adaLN_modulation.1", cond)
  h = block_norm(p, "final_layer.norm_final", tokens)
  h = modulate(h, *np.split(mods, 2, axis=1))
  h = linear(p, "final_layer.linear", h).reshape(
    b, grid, grid, patch, patch, -1
  )
  return h.transpose(0, 5, 1, 3, 2, 4).reshape(b, -1, side, side)
