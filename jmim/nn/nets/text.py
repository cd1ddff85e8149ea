"""CLIP's text encoder: a pre-norm transformer of tokens.

Radford et al. 2021 (openai/CLIP). Sizes of it are the text towers of CLIP,
OpenCLIP and Stable Diffusion 1 (width 768, 12 blocks, quick GELU, last layer)
and 2 (width 1024, 24 blocks, GELU, last but one).

    x_0    = E[ids] + positions
    x_i    = block_i(x_(i-1))               a token sees those before it, or all
    tokens = LN(x_(depth - layer + 1))      layer 1: the last
    pooled = W LN(x_depth)[end]             at the first `end`
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import block
from jmim.nn import causal
from jmim.nn import dense
from jmim.nn import norm
from jmim.nn import sizes

EPS = 1e-5


class Encoded(NamedTuple):
  """What a text is to others.

  Attributes:
    tokens: [b, l, w] a vector of each token.
    pooled: [b, d] one of the text, not of length 1; d: the projection, else w.
  """

  tokens: jax.Array
  pooled: jax.Array


class TextEncoder(nn.Module, kw_only=True):
  """Ids to a vector each, and one of the text.

  Attributes:
    size: width, depth, heads, MLP ratio.
    vocabulary: ids it knows.
    length: places, tokens of the longest text.
    causal: a token sees those before it; else all up to the end.
    act: of the MLPs, see `mlp.ACTIVATIONS`.
    projection: width of the pooled vector, by a map without bias; 0: no map.
    rt: execution choices.
  """

  size: sizes.Size
  vocabulary: int
  length: int
  causal: bool = True
  act: str = "quick_gelu"
  projection: int = 0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, ids: jax.Array, *, end: int, layer: int = 1, pooled: bool = True
  ) -> Encoded:
    """Encodes [b, l] int32, l <= length.

    Args:
      ids: below `vocabulary`.
      end: id of the token that ends a text; the text is pooled at the first,
        where there is none at the last place.
      layer: whose output the tokens are, 1: the last block, 2: the one before.
      pooled: False: blocks after that one are left out, and zeros are pooled.
    """
    rt, size, length = self.rt, self.size, ids.shape[1]
    embed = nn.Embed(
      self.vocabulary,
      size.width,
      dtype=rt.dtype,
      embedding_init=nn.initializers.normal(0.02),
      name="token_embed",
    )
    normal = nn.initializers.normal(0.01)
    place = self.param("pos_embed", normal, (self.length, size.width))
    x = rt.shard(embed(ids) + place[:length].astype(rt.dtype))
    last = ends(ids, end)
    sees = {"mask": jnp.arange(length) <= last[:, None]}
    if self.causal:
      sees = {"bias": causal.causal(length, length)[None, None]}
    blocks = block.make_stack(size, rt, name="blocks", eps=EPS, act=self.act)
    after = norm.layer_norm(rt, "norm", EPS)
    stop = size.depth - layer + 1
    x, _ = blocks(x, stop=stop, **sees)
    tokens = y = after(x)
    if pooled and layer > 1:
      y = after(blocks(x, start=stop, **sees)[0])
    one = jnp.take_along_axis(y, last[:, None, None], axis=1)[:, 0]
    if self.projection:
      one = dense.dense(
        rt,
        self.projection,
        use_bias=False,
        kernel_init=nn.initializers.normal(size.width**-0.5),
        name="projection",
      )(one)
    return Encoded(tokens, one if pooled else jnp.zeros_like(one))


def ends(ids: jax.Array, end: int) -> jax.Array:
  """[b] place of the first `end` in each row of [b, l], or the last place."""
  there = ids == end
  return jnp.where(there.any(1), there.argmax(1), ids.shape[1] - 1)
