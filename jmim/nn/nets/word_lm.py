"""A language model of words that also reads other vectors (Qwen2).

    x      = E[word], or what another network made, side by side
    latent = the blocks of `nn.lm`: RMSNorm, rotary positions, SwiGLU
    logits = latent E^T (tied), or latent W

It has no positions but the rotary ones, and no mask of its own: both are given.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import causal
from jmim.nn import lm
from jmim.nn import sizes

NORMAL = nn.initializers.normal(0.02)


class WordLM(nn.Module, kw_only=True):
  """Embeddings, blocks, and scores of the next word.

  Attributes:
    size: width, depth, heads, MLP ratio.
    words: different ones.
    kv_heads: heads of keys and values; 0: those of the queries.
    theta: base of the rotary positions.
    eps: of the norms.
    tied: scores are products with the embeddings.
    rt: execution choices.
  """

  size: sizes.Size
  words: int
  kv_heads: int = 0
  theta: float = 1e6
  eps: float = 1e-6
  tied: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  def setup(self) -> None:
    """Declares parameters; see the class attributes."""
    self.embed = nn.Embed(
      self.words, self.size.width, dtype=self.rt.dtype, embedding_init=NORMAL
    )
    self.decoder = self.blocks(parent=self)
    if not self.tied:
      self.head = nn.Dense(
        self.words,
        use_bias=False,
        dtype=self.rt.dtype,
        kernel_init=NORMAL,
        dot_general=functools.partial(
          jax.lax.dot_general, preferred_element_type=jnp.float32
        ),
      )

  def blocks(self, parent: nn.Module | None = None) -> lm.Decoder:
    """The transformer."""
    return lm.Decoder(
      size=self.size,
      kv_heads=self.kv_heads,
      act="swiglu",
      eps=self.eps,
      rms=True,
      theta=self.theta,
      proj_bias=False,
      rt=self.rt,
      parent=parent,
    )

  def empty(self, batch: int, length: int) -> causal.Cache:
    """A cache for so many vectors of so many sequences."""
    return self.blocks().empty(batch, length)

  def read(self, ids: jax.Array) -> jax.Array:
    """[b, n, w] of words [b, n]."""
    return self.embed(ids)

  def run(
    self,
    x: jax.Array,
    *,
    bias: jax.Array,
    positions: jax.Array,
    cache: causal.Cache | None = None,
    at: jax.Array | int = 0,
  ) -> dict[str, Any]:
    """latent [b, n, w] of vectors [b, n, w], and the cache; see `lm.Decoder`.

    Args:
      x: at .. at + n - 1 of their sequences.
      bias: broadcasts to [b, h, n, t], rows of the mask.
      positions: [b, n], rotary.
      cache: of `empty`; None: t = n.
      at: place in the cache of the first; may be traced.
    """
    return self.decoder(
      self.rt.shard(x), bias=bias, positions=positions, cache=cache, at=at
    )

  def scores(self, x: jax.Array) -> jax.Array:
    """[..., words] float32 logits of the word after each vector [..., w].

    Products are summed in float32 whatever the runtime's dtype is: of bf16 the
    logits would be known to one in 256.
    """
    if not self.tied:
      return self.head(x)
    table = self.embed.embedding.astype(x.dtype)
    return jnp.einsum(
      "...w,vw->...v", x, table, preferred_element_type=jnp.float32
    )

  def __call__(self, ids: jax.Array) -> jax.Array:
    """[b, n, words] of words alone, each of which sees those before it."""
    n = ids.shape[1]
    positions, bias = jnp.arange(n)[None], causal.causal(n, n)
    out = self.run(self.read(ids), bias=bias, positions=positions)
    return self.scores(out["latent"])
