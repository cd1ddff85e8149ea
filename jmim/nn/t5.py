r"""T5: an encoder of texts, and a decoder that reads what it makes of them.

Raffel et al. 2020, and v1.1 of it, by Transformers' names and arithmetic:

    h <- h + A(N h)                 the decoder's sees what was said before
    h <- h + A(N h, memory)         of the decoder
    h <- h + W_o (gelu(W_0 N h) * W_1 N h)       "relu": W_o relu(W_1 N h)
    A = softmax(q k^T + B) v W      no 1 / sqrt(d); no bias anywhere
    B = table[bucket(key - query)]  one table for all blocks; none with memory
    N h = h / sqrt(mean h^2 + eps) * scale
    logits = N h W, or of tied embeddings E N h / sqrt(width)

Letters: b batch, s places of the text that is read, t of the one that is said,
w width, h heads.
"""

import dataclasses
import functools
import math

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import causal
from jmim.nn import dense
from jmim.nn import norm
from jmim.nn import recompute
from jmim.nn import stack

ACTS = ("gelu", "relu")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
  """Of both sides.

  Attributes:
    words: different tokens.
    width: w.
    depth: blocks of the encoder.
    decoder_depth: blocks of the decoder.
    heads: h.
    head_width: of q, k and v of a head.
    hidden: width inside the feed-forward layers.
    buckets: different relative places.
    distance: from which on all places are one bucket.
    act: "gelu": gated, its tanh form (v1.1); "relu": not gated (v1.0).
    tied: scores are products with the embeddings (v1.0).
    eps: of the norms.
  """

  words: int
  width: int
  depth: int
  decoder_depth: int
  heads: int
  head_width: int
  hidden: int
  buckets: int = 32
  distance: int = 128
  act: str = "gelu"
  tied: bool = False
  eps: float = 1e-6


def buckets(
  offset: np.ndarray, *, ahead: bool, count: int, distance: int
) -> np.ndarray:
  """Number of the bucket of each place of a key less that of the query.

  Near places have one each; farther ones share those that are left, in steps
  of a logarithm.

  Args:
    offset: ints.
    ahead: the first half is for what is behind, the other for what is ahead;
      else what is ahead counts as here.
    count: buckets.
    distance: from which on all are the last.
  """
  if ahead:
    count //= 2
    first, apart = count * (offset > 0), np.abs(offset)
  else:
    first, apart = 0, np.maximum(-offset, 0)
  exact = count // 2
  # In float32, as there: at powers the other precision ends in another bucket.
  far = np.maximum(apart, 1).astype(np.float32) / np.float32(exact)
  span = np.float32(math.log(distance / exact))
  steps = np.log(far) / span * np.float32(count - exact)
  far = np.minimum(exact + steps.astype(int), count - 1)
  return first + np.where(apart < exact, apart, far)


def hidden(seen: jax.Array) -> jax.Array:
  """Float32 bias of what may be seen: 0, else hidden."""
  return jnp.where(seen, 0.0, causal.HIDDEN)


class Attention(nn.Module, kw_only=True):
  """Attention to x or to a memory, without the scale and without biases.

  Attributes:
    size: of the network.
    rt: execution choices.
  """

  size: Size
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    memory: jax.Array | None = None,
    bias: jax.Array | None = None,
  ) -> jax.Array:
    """[b, t, w] -> [b, t, w].

    Args:
      x: [b, t, w], of which the queries are made.
      memory: [b, s, w] that is attended to; None: x.
      bias: broadcasts to [b, h, t, s]; added to the logits.
    """
    size = self.size
    memory = x if memory is None else memory
    inner, d = size.heads * size.head_width, size.head_width

    def project(tokens, name, std):
      y = _linear(self.rt, inner, std, name)(tokens)
      y = einops.rearrange(y, "b t (h d) -> b h t d", h=size.heads)
      return self.rt.shard_dim(y, 1)

    std = size.width**-0.5
    # `attend` divides by sqrt(d), which T5 has in how q begins.
    q = project(x, "q", std * d**-0.5) * d**0.5
    k, v = project(memory, "k", std), project(memory, "v", std)
    y = attention.Attend(rt=self.rt, name="attend")(q, k, v, bias=bias)
    y = einops.rearrange(self.rt.shard_dim(y, 1), "b h t d -> b t (h d)")
    return _linear(self.rt, size.width, inner**-0.5, "proj")(y)


class FeedForward(nn.Module, kw_only=True):
  """Two linear maps around an activation, or three around a gate.

  Attributes:
    size: of the network.
    rt: execution choices.
  """

  size: Size
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, t, w] -> [b, t, w]."""
    size, std = self.size, self.size.width**-0.5
    y = _linear(self.rt, size.hidden, std, "up")(x)
    if size.act == "gelu":
      gate = _linear(self.rt, size.hidden, std, "gate")(x)
      y = recompute.gelu_tanh(gate) * y
    else:
      y = nn.relu(y)
    y = self.rt.shard_dim(y, -1)
    return _linear(self.rt, size.width, size.hidden**-0.5, "down")(y)


def _linear(rt, features, std, name):
  """A map without bias that begins as T5's do."""
  init = nn.initializers.normal(std)
  return dense.dense(rt, features, use_bias=False, kernel_init=init, name=name)


class Block(nn.Module, kw_only=True):
  """One block of either side.

  Attributes:
    size: of the network.
    rt: execution choices.
  """

  size: Size
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    cond: jax.Array | None = None,
    bias: jax.Array | None = None,
    cond_bias: jax.Array | None = None,
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, t, w] -> [b, t, w], and no taps.

    Args:
      x: tokens.
      cond: [b, s, w] the memory, of a decoder.
      bias: broadcasts to [b, h, t, t].
      cond_bias: broadcasts to [b, h, t, s].
    """
    usual = dict(size=self.size, rt=self.rt)
    normed = lambda name: norm.rms_norm(self.rt, name, self.size.eps)
    y = Attention(name="attn", **usual)(normed("norm1")(x), bias=bias)
    x = self.rt.shard(x + y)
    if cond is not None:
      cross = Attention(name="cross", **usual)
      y = cross(normed("norm_cross")(x), cond, cond_bias)
      x = self.rt.shard(x + y)
    y = FeedForward(name="mlp", **usual)(normed("norm2")(x))
    return self.rt.shard(x + y), {}


class Side(nn.Module, kw_only=True):
  """The blocks of one side, its table of places and its last norm.

  Attributes:
    size: of the network.
    depth: blocks.
    ahead: a token sees those after it.
    rt: execution choices.
  """

  size: Size
  depth: int
  ahead: bool
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    present: jax.Array | None = None,
    memory: jax.Array | None = None,
    memory_present: jax.Array | None = None,
  ) -> jax.Array:
    """[b, t, w] -> [b, t, w] after the last norm.

    Args:
      x: embedded tokens.
      present: [b, t] bool, False: seen by none; None: all are there.
      memory: [b, s, w], of a decoder.
      memory_present: [b, s] bool, as `present`.
    """
    size, t = self.size, x.shape[1]
    init = nn.initializers.normal(size.width**-0.5)
    rows = self.param("relative", init, (size.buckets, size.heads))
    places = np.arange(t)
    number = buckets(
      places - places[:, None],
      ahead=self.ahead,
      count=size.buckets,
      distance=size.distance,
    )
    bias = einops.rearrange(rows[number], "t s h -> 1 h t s")
    seen = None if present is None else present.astype(bool)[:, None, None]
    if not self.ahead:
      before = np.tri(t, dtype=bool)[None, None]
      seen = before if seen is None else before & seen
    bias = bias if seen is None else bias + hidden(seen)
    more = {}
    if memory is not None:
      more["cond"] = memory.astype(self.rt.dtype)
    if memory_present is not None:
      there = memory_present.astype(bool)
      more["cond_bias"] = hidden(there)[:, None, None]
    make = functools.partial(Block, size=size, rt=self.rt, parent=None)
    blocks = stack.Stack(make, self.depth, self.rt, name="blocks")
    x, _ = blocks(self.rt.shard(x), bias=bias, **more)
    return norm.rms_norm(self.rt, "norm", size.eps)(x)
