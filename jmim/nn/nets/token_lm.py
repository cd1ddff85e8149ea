"""A language model of codes of images, as fairseq builds it (DiGIT).

    x = sqrt(w) E[token] + P[place]          then the blocks of `nn.lm`
    logits = x W                             W of its own, without a bias

A prefix, whose tokens are not scored, has places of its own: of the tables of
prefix and sequence, the second begins where the prefix ends.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import causal
from jmim.nn import dense
from jmim.nn import dropout
from jmim.nn import lm
from jmim.nn import sizes


class TokenLM(nn.Module, kw_only=True):
  """Tokens to logits of the next, or (not one_way) of their own places.

  Attributes:
    size: width, depth, heads, MLP ratio.
    rows: ids that it reads.
    outputs: ids that it scores, the first of them.
    length: tokens of a sequence.
    prefix: tokens before it.
    one_way: no token sees later ones.
    post: post-norm blocks.
    rate: dropout of the embeddings and of each branch.
    rt: execution choices.
  """

  size: sizes.Size
  rows: int
  outputs: int
  length: int
  prefix: int = 0
  one_way: bool = True
  post: bool = True
  rate: float = 0.0
  rt: runtime.Runtime = runtime.Runtime()

  @property
  def decoder(self) -> lm.Decoder:
    """The blocks."""
    return lm.Decoder(
      size=self.size,
      post=self.post,
      rate=self.rate,
      rt=self.rt,
      parent=None,
    )

  def empty(self, batch: int) -> causal.Cache:
    """A cache for whole sequences with their prefix."""
    return self.decoder.empty(batch, self.prefix + self.length)

  @nn.compact
  def __call__(
    self,
    ids: jax.Array,
    *,
    at: jax.Array | int = 0,
    cache: causal.Cache | None = None,
    skip: int = 0,
    keys: jax.Array | None = None,
    taps: tuple[str, ...] = (),
  ) -> dict[str, Any]:
    """Scores [b, n] ints, the tokens at .. at + n - 1 of prefix + length.

    Args:
      ids: below `rows`.
      at: place of the first; may be traced.
      cache: of `empty`, filled up to `at`; None: nothing came before.
      skip: so many of the n are not scored.
      keys: [b, 2] dropout keys (`nn.dropout`); None: no dropout.
      taps: of each block, see `postnorm.PostBlock`.

    Returns:
      logits: [b, n - skip, outputs] float32.
      embedded: [b, n, w] what enters the first block.
      latent: [b, n, w] what leaves the last.
      cache: if one was given; and each tap: [depth, ...].
    """
    size, rt, n = self.size, self.rt, ids.shape[1]
    # fairseq: of embeddings and output.
    init = nn.initializers.normal(size.width**-0.5)
    embed = nn.Embed(
      self.rows, size.width, dtype=rt.dtype, embedding_init=init, name="embed"
    )
    table = self.param("pos_embed", init, (self.length, size.width))
    if self.prefix:
      shape = (self.prefix, size.width)
      first = self.param("pos_prefix", init, shape)
      table = jnp.concatenate([first, table])
    place = jax.lax.dynamic_slice_in_dim(table, at, n)
    x = size.width**0.5 * embed(ids) + place.astype(rt.dtype)
    x = rt.shard(dropout.dropout(x, keys, self.rate, 0))
    t = n if cache is None else cache["k"].shape[3]
    bias = causal.causal(n, t, at) if self.one_way else None
    out = self.decoder.clone(name="decoder", parent=self)(
      x, bias=bias, cache=cache, at=at, keys=keys, taps=taps
    )
    head = dense.dense(
      rt, self.outputs, use_bias=False, kernel_init=init, name="head"
    )
    logits = head(out["latent"][:, skip:]).astype(jnp.float32)
    return {"logits": logits, "embedded": x, **out}
