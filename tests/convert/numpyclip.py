"""CLIP in numpy, by its definition, from arrays with Transformers' names.

Written from the paper and the names of Transformers' modules: it shares no line
with what it is compared with.
"""

import numpy as np
from scipy import special

ACTS = {
  "quick_gelu": lambda x: x * special.expit(1.702 * x),
  "gelu": lambda x: 0.5 * x * (1 + special.erf(x / np.sqrt(2))),
}


def _linear(w, name, x):
  bias = w.get(f"{name}.bias", 0.0)
  return x @ w[f"{name}.weight"].T + bias


def _norm(w, name, x):
  x = x - x.mean(-1, keepdims=True)
  x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
  return x * w[f"{name}.weight"] + w[f"{name}.bias"]


def _blocks(w, theirs, x, *, heads, act, causal):
  """[b, t, w] after each block."""
  t, width = x.shape[1:]
  hidden = np.triu(np.full((t, t), -np.inf), 1) if causal else 0.0
  found, i = [], 0
  while f"{theirs}.{i}.layer_norm1.weight" in w:
    layer = f"{theirs}.{i}"
    y, attention = _norm(w, f"{layer}.layer_norm1", x), f"{layer}.self_attn"
    cut = lambda z: z.reshape(*z.shape[:2], heads, -1).transpose(0, 2, 1, 3)
    q, k, v = (cut(_linear(w, f"{attention}.{n}_proj", y)) for n in "qkv")
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(width / heads) + hidden
    y = special.softmax(scores, -1) @ v
    y = y.transpose(0, 2, 1, 3).reshape(x.shape)
    x = x + _linear(w, f"{attention}.out_proj", y)
    y = _linear(w, f"{layer}.mlp.fc1", _norm(w, f"{layer}.layer_norm2", x))
    x = x + _linear(w, f"{layer}.mlp.fc2", ACTS[act](y))
    found.append(x)
    i += 1
  return found


def text(w, ids, *, heads, end, act="quick_gelu"):
  """(hidden states [blocks][b, l, w], last layer, pooled and projected)."""
  stem = "text_model.embeddings"
  x = w[f"{stem}.token_embedding.weight"][ids]
  x = x + w[f"{stem}.position_embedding.weight"][: ids.shape[1]]
  layers = "text_model.encoder.layers"
  hidden = _blocks(w, layers, x, heads=heads, act=act, causal=True)
  last = _norm(w, "text_model.final_layer_norm", hidden[-1])
  at = (ids == end).argmax(1)
  pooled = last[np.arange(len(ids)), at]
  return hidden, last, _linear(w, "text_projection", pooled)


def image(w, images, *, heads, act="quick_gelu"):
  """Projected class token [b, d] of [b, h, w, c]."""
  stem = "vision_model.embeddings"
  kernel = w[f"{stem}.patch_embedding.weight"]  # [d, c, p, p]
  b, side, _, c = images.shape
  p = kernel.shape[-1]
  n = side // p
  x = images.reshape(b, n, p, n, p, c).transpose(0, 1, 3, 5, 2, 4)
  x = x.reshape(b, n * n, -1) @ kernel.reshape(len(kernel), -1).T
  token = np.broadcast_to(w[f"{stem}.class_embedding"], (b, 1, x.shape[-1]))
  x = np.concatenate([token, x], 1) + w[f"{stem}.position_embedding.weight"]
  x = _norm(w, "vision_model.pre_layrnorm", x)
  layers = "vision_model.encoder.layers"
  x = _blocks(w, layers, x, heads=heads, act=act, causal=False)[-1]
  x = _norm(w, "vision_model.post_layernorm", x[:, 0])
  return _linear(w, "visual_projection", x)
