"""T5 by its definition, in numpy float64, of Transformers' arrays."""

import math

import numpy as np


def norm(x, scale):
  return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale


def bucket(offset, ahead, count, distance):
  """Of the place of a key less that of the query, as T5's code has it."""
  first = 0
  if ahead:
    count //= 2
    first = count if offset > 0 else 0
    apart = abs(offset)
  else:
    apart = max(-offset, 0)
  exact = count // 2
  if apart < exact:
    return first + apart
  steps = math.log(apart / exact) / math.log(distance / exact)
  return first + min(exact + int(steps * (count - exact)), count - 1)


def softmax(x):
  p = np.exp(x - x.max(-1, keepdims=True))
  return p / p.sum(-1, keepdims=True)


class T5:
  """One text at a time.

  Attributes:
    w: their names -> arrays.
    size: words, width, depth ... of `methods.parts.t5.T5`.
  """

  def __init__(self, w, size):
    self.w = {n: x.astype(np.float64) for n, x in w.items()}
    self.size = size

  def attend(self, at, x, *, memory, bias, present):
    """[t, w] of queries x; present: [s] or [t, s] bool."""
    d = self.size.head_width
    split = lambda y: y.reshape(len(y), -1, d).transpose(1, 0, 2)
    linear = lambda y, n: y @ self.w[f"{at}.{n}.weight"].T
    q, k, v = (
      split(linear(y, n)) for y, n in ((x, "q"), (memory, "k"), (memory, "v"))
    )
    logits = np.einsum("htd,hsd->hts", q, k) + bias
    p = softmax(np.where(present, logits, -1e30))
    y = np.einsum("hts,hsd->htd", p, v).transpose(1, 0, 2)
    return linear(y.reshape(len(x), -1), "o")

  def feed(self, at, x):
    linear = lambda y, n: y @ self.w[f"{at}.{n}.weight"].T
    if self.size.act == "relu":
      return linear(np.maximum(linear(x, "wi"), 0), "wo")
    g = linear(x, "wi_0")
    g = 0.5 * g * (1 + np.tanh(math.sqrt(2 / math.pi) * (g + 0.044715 * g**3)))
    return linear(g * linear(x, "wi_1"), "wo")

  def side(self, name, ids, present, *, memory=None, memory_present=None):
    """[t, w] of tokens [t]."""
    w, size, t = self.w, self.size, len(ids)
    x, ahead = w["shared.weight"][ids], name == "encoder"
    depth = size.depth if ahead else size.decoder_depth or size.depth
    first = f"{name}.block.0.layer.0.SelfAttention.relative_attention_bias"
    rows = w[f"{first}.weight"]
    how = (ahead, size.buckets, size.distance)
    number = [[bucket(j - i, *how) for j in range(t)] for i in range(t)]
    bias = rows[np.array(number)].transpose(2, 0, 1)
    seen = present & (np.ones((t, t), bool) if ahead else np.tri(t, dtype=bool))
    for i in range(depth):
      at = f"{name}.block.{i}.layer"
      before = lambda x, k, at=at: norm(x, w[f"{at}.{k}.layer_norm.weight"])
      y = before(x, 0)
      own = dict(memory=y, bias=bias, present=seen)
      x = x + self.attend(f"{at}.0.SelfAttention", y, **own)
      if memory is not None:
        inner = f"{at}.1.EncDecAttention"
        told = dict(memory=memory, bias=0.0, present=memory_present)
        x = x + self.attend(inner, before(x, 1), **told)
      last = 1 if memory is None else 2
      x = x + self.feed(f"{at}.{last}.DenseReluDense", before(x, last))
    return norm(x, w[f"{name}.final_layer_norm.weight"])

  def scores(self, x):
    if self.size.tied:
      return x * self.size.width**-0.5 @ self.w["shared.weight"].T
    return x @ self.w["lm_head.weight"].T
