"""A decoder that attends to another view (SiamMAE, CropMAE).

Letters: b batch, t queries, s other tokens, w width.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn import attention
from jmim.nn import dropout
from jmim.nn import mlp
from jmim.nn import norm as norms
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn import stack


class PostNormBlock(nn.Module, kw_only=True):
  """Torch's decoder layer with cross- before self-attention (CropMAE).

  x <- LN2(x + Cross(x, memory)), LN3(x + MLP(x)), LN1(x + Self(x)).

  Attributes:
    heads: attention heads.
    hidden: width of the MLP.
    rate: dropout of each branch and of the hidden layer.
    rt: execution choices.
  """

  heads: int
  hidden: int
  rate: float = 0.0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    memory: jax.Array | None = None,
    keys: jax.Array | None = None,
    index: jax.Array | int = 0,
  ) -> tuple[jax.Array, dict]:
    """[b, t, w] -> [b, t, w].

    Args:
      x: [b, t, w].
      memory: [b, s, w] keys and values; None (shapes only): x.
      keys: [b, 2] dropout keys.
      index: of the layer.
    """

    def add(x, y, norm, site):
      y = dropout.dropout(y, keys, self.rate, 8 * index + site)
      return norms.layer_norm(self.rt, norm)(x + y)

    memory = x if memory is None else memory
    # Packed in one matrix in torch, which its Xavier bound depends on.
    cross = attention.CrossAttention(
      heads=self.heads, init_scale=0.5, rt=self.rt, name="cross"
    )
    x = add(x, cross(x, memory), "norm2", 0)
    inner = functools.partial(
      dropout.dropout, keys=keys, rate=self.rate, site=8 * index + 1
    )
    x = add(
      x,
      mlp.MLP(hidden=self.hidden, rt=self.rt, name="mlp")(x, inner),
      "norm3",
      2,
    )
    attn = attention.SelfAttention(heads=self.heads, rt=self.rt, name="attn")
    return self.rt.shard(add(x, attn(x)[0], "norm1", 3)), {}


class CrossDecoder(nn.Module, kw_only=True):
  """Patches of one view from its few visible ones and another view.

  Attributes:
    size: width, depth, heads.
    grid: (h, w) in patches.
    out: outputs per patch.
    hidden: width of the MLPs, whatever the width.
    rate: dropout.
    rt: execution choices.
  """

  size: sizes.Size
  grid: tuple[int, int]
  out: int
  hidden: int = 2048
  rate: float = 0.0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    latent: jax.Array,
    source: jax.Array,
    mask: masking.Mask,
    keys: jax.Array | None = None,
  ) -> jax.Array:
    """[b, 1 + k, w], [b, 1 + n, w] -> [b, n, out] float32, raster order."""
    width, dtype = self.size.width, self.rt.dtype
    init = nn.initializers.xavier_uniform()
    embed = nn.Dense(width, dtype=dtype, kernel_init=init, name="embed")
    y, memory = embed(latent), embed(source)
    normal = nn.initializers.normal(0.02)
    token = self.param("mask_token", normal, (1, 1, width))
    patches = masking.restore(y[:, 1:], token, mask)
    y = jnp.concatenate([y[:, :1], patches], axis=1)
    y = y + jnp.asarray(posemb.sincos_2d(width, self.grid, prefix=1), dtype)
    make = functools.partial(
      PostNormBlock,
      heads=self.size.heads,
      hidden=self.hidden,
      rate=self.rate,
      rt=self.rt,
      parent=None,
    )
    blocks = stack.Stack(make, self.size.depth, self.rt, name="blocks")
    index = {"index": jnp.arange(self.size.depth)}
    y, _ = blocks(self.rt.shard(y), per_layer=index, memory=memory, keys=keys)
    y = norms.layer_norm(self.rt, "norm")(y)
    y = nn.Dense(self.out, dtype=dtype, kernel_init=init, name="pred")(y)
    return y[:, 1:].astype(jnp.float32)
