"""A transformer that makes a context of tokens (text, layouts).

Rombach et al. 2022 (CompVis/latent-diffusion@a506df5, `BERTEmbedder`): learned
positions, pre-norm blocks whose attention is 8 heads of 64 whatever the width.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import mlp
from jmim.nn import norm as norms
from jmim.nn import stack

NORMAL = nn.initializers.normal(0.02)


class Block(nn.Module):
  """x + attention(LN x), then the same with a GELU MLP of 4 times the width."""

  heads: int = 8
  head_width: int = 64
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> tuple[jax.Array, dict]:
    """[b, t, w] -> [b, t, w], and no taps."""
    norm = functools.partial(norms.layer_norm, self.rt, eps=1e-5)
    y = norm("norm1")(x)
    look = attention.CrossAttention(
      heads=self.heads,
      qkv_bias=False,
      rt=self.rt,
      name="attn",
      inner=self.heads * self.head_width,
    )
    x = x + look(y, y)
    y = norm("norm2")(x)
    y = mlp.MLP(hidden=4 * x.shape[-1], rt=self.rt, name="mlp")(y)
    return self.rt.shard(x + y), {}


class TokenEncoder(nn.Module, kw_only=True):
  """Ids of a fixed length to one vector each.

  Attributes:
    vocabulary: ids.
    length: tokens.
    width: of the vectors.
    depth: blocks.
    heads: attention heads.
    head_width: of each.
    rt: execution choices.
  """

  vocabulary: int
  length: int
  width: int
  depth: int
  heads: int = 8
  head_width: int = 64
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, ids: jax.Array) -> jax.Array:
    """[b, length] int -> [b, length, width]."""
    embed = nn.Embed(
      self.vocabulary,
      self.width,
      dtype=self.rt.dtype,
      embedding_init=NORMAL,
      name="token_embed",
    )
    pos = self.param("pos_embed", NORMAL, (self.length, self.width))
    x = self.rt.shard(embed(ids) + pos.astype(self.rt.dtype))
    make = functools.partial(
      Block,
      heads=self.heads,
      head_width=self.head_width,
      rt=self.rt,
      parent=None,
    )
    x, _ = stack.Stack(make, self.depth, self.rt, name="blocks")(x)
    return norms.layer_norm(self.rt, "norm", 1e-5)(x)


def points(xy: jax.Array, side: int) -> jax.Array:
  """Tokens of places: [..., 2] (x, y) in 0 .. 1 -> [...] int32.

  round(y (side - 1)) side + round(x (side - 1)), as in the tokens of a layout.
  """
  at = (xy * (side - 1)).round().astype("int32")
  return at[..., 1] * side + at[..., 0]


def layout(
  categories: jax.Array, boxes: jax.Array, crop: jax.Array, vocabulary: int
) -> jax.Array:
  """[b, 3 n + 2] tokens of n objects and of the part of the image shown.

  (category, top left, bottom right) of each object, then the corners of the
  crop; a place is one of the d x d points, d = floor(sqrt(vocabulary)).

  Args:
    categories: [b, n] int; below 0: no object, written vocabulary - 1.
    boxes: [b, n, 4] (x, y, width, height) in shares of the image.
    crop: [b, 4], the same.
    vocabulary: ids.
  """
  side = int(vocabulary**0.5)

  def corners(box):
    low = box[..., :2]
    both = jnp.stack([low, low + box[..., 2:]], axis=-2)
    return points(jnp.clip(both, 0.0, 1.0), side)

  there = categories[..., None] >= 0
  objects = jnp.concatenate([categories[..., None], corners(boxes)], -1)
  objects = jnp.where(there, objects, vocabulary - 1)
  flat = objects.reshape(len(objects), -1)
  return jnp.concatenate([flat, corners(crop)], axis=1)
