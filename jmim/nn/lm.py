r"""Decoder-only transformers: their blocks, and a cache of what was.

Two families: post-norm (fairseq: `postnorm.PostBlock`, LayerNorm, GELU) and
pre-norm (LayerNorm and GELU; or Qwen2's RMSNorm, SwiGLU, rotary positions and
fewer heads of keys than of queries). They see vectors, not tokens: embeddings
and heads are those of the network around them.

A pass in pieces, with a cache, equals the whole one up to rounding. Letters and
masks: `nn.causal`.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import causal
from jmim.nn import dropout
from jmim.nn import mlp
from jmim.nn import norm
from jmim.nn import postnorm
from jmim.nn import sizes
from jmim.nn import stack

# torch's linear layer.
LINEAR_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class PreBlock(nn.Module, kw_only=True):
  """x + attention(norm x), then x + MLP(norm x).

  Attributes:
    attention: makes the attention of a name, see
      `causal.Attention`.
    mlp_ratio: hidden width of the MLP over the width.
    rate: dropout of both branches.
    act: see `mlp.ACTIVATIONS`; "swiglu": `mlp.SwiGLU` without biases.
    eps: of the norms.
    rms: RMSNorm in place of LayerNorm.
    rt: execution choices.
  """

  attention: Callable[..., nn.Module]
  mlp_ratio: float = 4.0
  rate: float = 0.0
  act: str = "gelu"
  eps: float = 1e-5
  rms: bool = False
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    keys: jax.Array | None = None,
    index: jax.Array | int = 0,
    taps: tuple[str, ...] = (),
    **more: Any,
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """As `postnorm.PostBlock`; more: of the attention."""

    def add(x, y, site):
      y = dropout.dropout(y, keys, self.rate, 2 * index + site)
      return self.rt.shard(x + y)

    normed = functools.partial(norms, self.rt, self.rms, self.eps)
    inner = tuple(t for t in taps if t != "block")
    y, found = self.attention(name="attn")(
      normed("norm1")(x), taps=inner, **more
    )
    x = add(x, y, 1)
    hidden = round(x.shape[-1] * self.mlp_ratio)
    if self.act == "swiglu":
      net = mlp.SwiGLU(hidden=hidden, rt=self.rt, name="mlp")
    else:
      net = mlp.MLP(
        hidden=hidden,
        rt=self.rt,
        act=self.act,
        kernel_init=LINEAR_INIT,
        name="mlp",
      )
    x = add(x, net(normed("norm2")(x)), 2)
    return x, {t: x if t == "block" else found[t] for t in taps}


def norms(rt: runtime.Runtime, rms: bool, eps: float, name: str) -> nn.Module:
  """The norm of that name; rms: RMSNorm in place of LayerNorm."""
  return (norm.rms_norm if rms else norm.layer_norm)(rt, name, eps)


class Decoder(nn.Module, kw_only=True):
  """The blocks, and the norm after them where they are pre-norm.

  Attributes:
    size: width, depth, heads, MLP ratio.
    post: post-norm blocks.
    kv_heads: heads of keys and values; 0: those of the queries.
    act: activation of the MLPs, see `PreBlock`; "swiglu" is pre-norm only.
    eps: of the norms.
    rms: RMSNorm; pre-norm only.
    theta: base of rotary positions; 0: none.
    proj_bias: of the attention's output.
    rate: dropout of the branches.
    rt: execution choices.
  """

  size: sizes.Size
  post: bool = False
  kv_heads: int = 0
  act: str = "gelu"
  eps: float = 1e-5
  rms: bool = False
  theta: float = 0.0
  proj_bias: bool = True
  rate: float = 0.0
  rt: runtime.Runtime = runtime.Runtime()

  def empty(self, batch: int, length: int) -> causal.Cache:
    """A cache for so many tokens of so many sequences."""
    size, groups = self.size, self.kv_heads or self.size.heads
    d = size.width // size.heads
    zeros = jnp.zeros((size.depth, batch, groups, length, d), self.rt.dtype)
    one = self.rt.constrain(zeros, None, self.rt.batch_axes)
    return {"k": one, "v": one}

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    bias: jax.Array | None = None,
    positions: jax.Array | None = None,
    cache: causal.Cache | None = None,
    at: jax.Array | int = 0,
    keys: jax.Array | None = None,
    taps: tuple[str, ...] = (),
  ) -> dict[str, Any]:
    """Runs the blocks on [b, n, w].

    Args:
      x: embedded tokens, at .. at + n - 1 of their sequences.
      bias: broadcasts to [b, h, n, t], rows of the mask; None: all see all.
      positions: [1 or b, n] for rotary positions; None: at .. at + n - 1.
      cache: of `empty`, filled up to `at`; None: t = n.
      at: number of tokens in the cache; may be traced.
      keys: [b, 2] dropout keys (`nn.dropout`); None: no dropout.
      taps: of each block, see `postnorm.PostBlock`.

    Returns:
      latent: [b, n, w] after the last block, and norm if pre-norm.
      cache: with the n tokens, where one was given.
      and each tap: [depth, ...].
    """
    size, more = self.size, {}
    if self.theta:
      if positions is None:
        positions = (at + jnp.arange(x.shape[1]))[None]
      d = size.width // size.heads
      more["rotary"] = causal.angles(positions, d, self.theta)
    layers = {"index": jnp.arange(size.depth)}
    asked = taps
    if cache is not None:
      layers["cache"], more["at"] = cache, at
      asked = tuple(dict.fromkeys((*taps, "k", "v")))
    blocks = stack.Stack(self._make(), size.depth, self.rt, name="blocks")
    x, found = blocks(
      x, per_layer=layers, bias=bias, keys=keys, taps=asked, **more
    )
    if not self.post:
      x = norms(self.rt, self.rms, self.eps, "norm")(x)
    out = {"latent": x} | {t: found[t] for t in taps}
    if cache is not None:
      write = functools.partial(causal.written, at=at, axis=3)
      out["cache"] = {i: write(cache[i], found[i]) for i in "kv"}
    return out

  def _make(self):
    """What makes a block."""
    size = self.size
    attend = functools.partial(
      causal.Attention,
      heads=size.heads,
      kv_heads=self.kv_heads,
      proj_bias=self.proj_bias,
      rt=self.rt,
    )
    usual = dict(
      attention=attend,
      mlp_ratio=size.mlp_ratio,
      rate=self.rate,
      act=self.act,
      eps=self.eps,
      rt=self.rt,
      parent=None,
    )
    if not self.post:
      return functools.partial(PreBlock, rms=self.rms, **usual)
    usual |= dict(heads=size.heads, kernel_init=LINEAR_INIT)
    return functools.partial(postnorm.PostBlock, **usual)
