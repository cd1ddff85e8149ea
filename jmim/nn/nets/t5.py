"""T5: embeddings, both sides, and scores of the next token.

Its layers are `nn.t5`. Letters: b batch, s places that are read, t of those
that are said.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import t5


def shifted(labels: jax.Array, start: int = 0) -> jax.Array:
  """[b, t] what a decoder reads to say `labels`: the start, then all but one.

  Args:
    labels: [b, t] ints.
    start: token before all; T5's is its padding, 0.
  """
  return jnp.pad(labels[:, :-1], ((0, 0), (1, 0)), constant_values=start)


class T5(nn.Module, kw_only=True):
  """Embeddings, both sides, and scores of the next token.

  Each method needs the parameters of what it runs only: a decoder alone may be
  applied without those of the encoder.

  Attributes:
    size: of the network.
    rt: execution choices.
  """

  size: t5.Size
  rt: runtime.Runtime = runtime.Runtime()

  def setup(self) -> None:
    """Declares parameters; see the class attributes."""
    size, rt = self.size, self.rt
    one = nn.initializers.normal(1.0)
    self.embed = nn.Embed(
      size.words, size.width, dtype=rt.dtype, embedding_init=one
    )
    self.encoder = t5.Side(size=size, depth=size.depth, ahead=True, rt=rt)
    depth = size.decoder_depth
    self.decoder = t5.Side(size=size, depth=depth, ahead=False, rt=rt)
    if not size.tied:
      sums = functools.partial(
        jax.lax.dot_general, preferred_element_type=jnp.float32
      )
      self.head = nn.Dense(
        size.words,
        use_bias=False,
        dtype=rt.dtype,
        kernel_init=nn.initializers.normal(size.width**-0.5),
        dot_general=sums,
      )

  def encode(
    self, ids: jax.Array, present: jax.Array | None = None
  ) -> jax.Array:
    """[b, s, w] of tokens [b, s]; present [b, s] bool: the others are none."""
    return self.encoder(self.embed(ids), present=present)

  def decode(
    self,
    ids: jax.Array,
    memory: jax.Array,
    *,
    present: jax.Array | None = None,
    memory_present: jax.Array | None = None,
  ) -> jax.Array:
    """[b, t, w] of tokens [b, t] that were said, see `shifted`.

    Args:
      ids: the start, and what was said.
      memory: [b, s, w] of `encode`, or what stands for it.
      present: [b, t] bool; None: all are there.
      memory_present: [b, s] bool; None: all are there.
    """
    return self.decoder(
      self.embed(ids),
      present=present,
      memory=memory,
      memory_present=memory_present,
    )

  def scores(self, x: jax.Array) -> jax.Array:
    """[..., words] float32 logits of the next token, of `decode` [..., w]."""
    if not self.size.tied:
      return self.head(x)
    table = self.embed.embedding.astype(x.dtype)
    x = x * jnp.asarray(self.size.width**-0.5, x.dtype)
    return jnp.einsum(
      "...w,vw->...v", x, table, preferred_element_type=jnp.float32
    )

  def __call__(self, ids: jax.Array, said: jax.Array) -> jax.Array:
    """[b, t, words] logits of what follows tokens [b, t], told ids [b, s]."""
    return self.scores(self.decode(said, self.encode(ids)))
