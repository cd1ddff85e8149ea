"""Continuous tokens of an image as vectors that a language model reads (MMAR).

    x = W token, or a learned vector where it is masked; + P[place]
    y = MLP(norm(blocks x))            all tokens see each other

A masked token is replaced, not left out: each has its place in what follows.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import adapters
from jmim.nn import block
from jmim.nn import dense
from jmim.nn import norm
from jmim.nn import sizes

NORMAL = nn.initializers.normal(0.02)
XAVIER = nn.initializers.xavier_uniform()


class TokenVision(nn.Module, kw_only=True):
  """A ViT on masked tokens, and a projector.

  Attributes:
    size: width, depth, heads, MLP ratio.
    length: n, tokens of an image.
    out: width of the result.
    rt: execution choices.
  """

  size: sizes.Size
  length: int
  out: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
    """[b, n, out] of tokens [b, n, c].

    Args:
      x: tokens; those that are masked are not looked at.
      mask: [b, n] bool.
    """
    rt, width = self.rt, self.size.width
    y = dense.dense(rt, width, kernel_init=XAVIER, name="embed")(rt.shard(x))
    token = self.param("mask_token", NORMAL, (1, 1, width)).astype(y.dtype)
    y = jnp.where(mask[..., None], token, y)
    pos = self.param("pos_embed", NORMAL, (1, self.length, width))
    y = rt.shard(y + pos.astype(y.dtype))
    y, _ = block.make_stack(self.size, rt, name="blocks")(y)
    y = norm.layer_norm(rt, "norm")(y)
    return adapters.Projection(self.out, layers=2, rt=rt, name="project")(y)
