r"""Self-attention that reads a cache, and who sees whom.

A mask is a bias (`causal`, `by_block`, `by_place`, or any other). With a cache
the tokens at `at` .. `at + n - 1` are computed, those before are read from it.
Letters: b batch, t tokens of the cache, n of the call, h heads of queries, g
heads of keys and values, d head width.
"""

import functools

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import dense
from jmim.nn import posemb

# {"k", "v"}: [layers, b, g, t, d]; of one layer [b, g, t, d].
Cache = dict[str, jax.Array]
# Finite in bf16 too, which the least float32 is not: a kernel that sees a tile
# of hidden keys first would subtract infinities.
HIDDEN = np.float32(jnp.finfo(jnp.bfloat16).min)
# fairseq: Xavier with a gain of 1 / sqrt(2), as of the three in one matrix.
QKV_INIT = nn.initializers.variance_scaling(0.5, "fan_avg", "uniform")


def causal(n: int, t: int, at: jax.Array | int = 0) -> jax.Array:
  """[n, t] float32 bias: tokens at .. at + n - 1 see those up to themselves.

  Args:
    n: tokens of the call.
    t: tokens of the cache.
    at: place of the first of the n; may be traced.
  """
  seen = jnp.arange(t) <= at + jnp.arange(n)[:, None]
  return jnp.where(seen, 0.0, HIDDEN)


def by_block(blocks: jax.Array) -> jax.Array:
  """[b, 1, t, t] float32 bias: causal, but a block sees all of itself.

  Args:
    blocks: [b, t] ints; tokens of one number above 0 are a block (an image
      among text), 0: a token of its own.
  """
  t = blocks.shape[1]
  same = (blocks[:, :, None] == blocks[:, None]) & (blocks > 0)[:, None]
  seen = np.tri(t, dtype=bool) | same
  return jnp.where(seen, 0.0, HIDDEN)[:, None]


def by_place(
  places: jax.Array, present: jax.Array, looking: jax.Array | None = None
) -> jax.Array:
  """[b, 1, n, t] float32 bias: a token sees those whose place is not later.

  Tokens of one place see each other: a block. The order in which they are
  stored is free, and may be another than that of their places.

  Args:
    places: [b, t] numbers.
    present: [b, t] bool: the others are seen by none.
    looking: [b, n] places of those that see; None: all of them.
  """
  looking = places if looking is None else looking
  seen = present[:, None] & (places[:, None] <= looking[..., None])
  return jnp.where(seen, 0.0, HIDDEN)[:, None]


def angles(positions: jax.Array, width: int, theta: float) -> jax.Array:
  """Angles [.., width / 2] float32 of rotary positions in one dimension.

  p theta^(-2 j / width), j = 0 .. width / 2 - 1 (Su et al. 2021).

  Args:
    positions: [..] any numbers; equal ones are not told apart.
    width: of a head, even.
    theta: base of the frequencies.
  """
  omega = float(theta) ** (-np.arange(0, width, 2) / width)
  return positions[..., None].astype(jnp.float32) * omega.astype(np.float32)


class Attention(nn.Module, kw_only=True):
  """Self-attention with a cache; h heads of queries share g of keys.

  Attributes:
    heads: h.
    kv_heads: g, a divisor of h; 0: h.
    bias: of q, k and v.
    proj_bias: of the output.
    rt: execution choices.
  """

  heads: int
  kv_heads: int = 0
  bias: bool = True
  proj_bias: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    bias: jax.Array | None = None,
    rotary: jax.Array | None = None,
    cache: Cache | None = None,
    at: jax.Array | int = 0,
    taps: tuple[str, ...] = (),
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, n, w] -> [b, n, w] and the taps.

    Args:
      x: tokens at .. at + n - 1.
      bias: broadcasts to [b, h, n, t]; with a cache it must hide what has not
        been computed yet.
      rotary: [1 or b, n, d / 2] angles, see `posemb.rotate`.
      cache: k and v [b, g, t, d]; None: t = n.
      at: place of the first token in the cache.
      taps: of "q", "k", "v" ([b, h or g, n, d], as a cache holds them) and
        "attention" ([b, h, n, t] float32).
    """
    width, groups = x.shape[-1], self.kv_heads or self.heads
    d = width // self.heads
    project = functools.partial(self._project, x, d)
    q = project("q", self.heads)
    k, v = project("k", groups), project("v", groups)
    if rotary is not None:
      q, k = posemb.rotate(q, rotary), posemb.rotate(k, rotary)
    tapped, rt = {"q": q, "k": k, "v": v}, self.rt
    if cache is not None:
      k, v = (written(cache[i], tapped[i], at) for i in "kv")
      # A few queries on many keys: nothing that a kernel would be faster at.
      rt = runtime.Runtime()
    y = attention.Attend(rt=rt, name="attend")(q, k, v, bias=bias)
    if "attention" in taps:
      tapped["attention"] = attention.probabilities(q, k, bias)
    y = einops.rearrange(self.rt.shard_dim(y, 1), "b h t d -> b t (h d)")
    proj = dense.dense(
      self.rt,
      width,
      use_bias=self.proj_bias,
      kernel_init=nn.initializers.xavier_uniform(),
      name="proj",
    )
    return proj(y), {t: tapped[t] for t in taps}

  def _project(self, x, d, name, heads):
    """[b, n, w] -> [b, heads, n, d]."""
    y = dense.dense(
      self.rt,
      heads * d,
      use_bias=self.bias,
      kernel_init=QKV_INIT,
      name=name,
    )(x)
    y = einops.rearrange(y, "b n (h d) -> b h n d", h=heads)
    return self.rt.shard_dim(y, 1)


def written(
  old: jax.Array, new: jax.Array, at: jax.Array | int, axis: int = 2
) -> jax.Array:
  """`old` with `new` in place of its entries from `at` on, along `axis`."""
  new = new.astype(old.dtype)
  return jax.lax.dynamic_update_slice_in_dim(old, new, at, axis)
