r"""Transformer blocks that are told which thing is where.

A thing k has an ellipse M_k, one token e_k (ellipse and description) and words
w_k. Into a block of self-attention, attention to a caption c and an MLP, as
GLIGEN (Li et al. 2023) and BlobGEN (Nie et al. 2024) have it:

    x <- x + Self(LN x)
    x <- x + tanh(g1) Joint([LN x; LN L e])[tokens of x]
    x <- x + tanh(g2) MLP(LN x)
    x <- x + Cross(LN x, c) + tanh(g3) in_k Cross(LN x, w_k where x is in M_k)
    x <- x + MLP(LN x)

All g are 0 at the start: closed, the block is what it is without things, bit
for bit. Words go through the attention of the caption, with its weights; a
place sees the words of the ellipses that it lies in, and none elsewhere
(in_k = 0 outside of all).
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import context_block
from jmim.nn import ellipses as forms
from jmim.nn import norm as norms
from jmim.nn import spatial

Array = jax.Array
# Added to a logit, it is seen by nobody: exp is 0, and no type overflows.
UNSEEN = -1e30


class Things(NamedTuple):
  """What a picture's transformers are told: the context of a UNet.

  Attributes:
    context: [b, s, e] of the whole picture.
    tokens: [b, k, e], one of each thing.
    words: [b, k, l, e] of its description.
    said: bool [b, k, l]: which words there are.
    places: bool [b, k, h, w]: its ellipse, on the UNet's finest grid.
  """

  context: Array
  tokens: Array
  words: Array
  said: Array
  places: Array


def blank(things: int, words: int, *, width: int, side: int) -> Things:
  """What one picture's transformers are told that holds nothing: zeros.

  Args:
    things: k.
    words: l.
    width: e.
    side: of the finest grid.
  """
  return Things(
    context=jnp.zeros((1, 1, width)),
    tokens=jnp.zeros((1, things, width)),
    words=jnp.zeros((1, things, words, width)),
    said=jnp.zeros((1, things, words), bool),
    places=jnp.zeros((1, things, side, side), bool),
  )


class Tokens(nn.Module, kw_only=True):
  """One token of each ellipse and its description.

  A thing that is not there has zeros in the place of both, and a token.

  Attributes:
    width: of the tokens.
    hidden: of both hidden layers.
    waves: frequencies of each number.
    rt: execution choices.
  """

  width: int
  hidden: int = 512
  waves: int = 8
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, ellipses: Array, text: Array) -> Array:
    """[b, k, 5] and [b, k, e] -> [b, k, width]."""
    place = forms.waves(forms.numbers(ellipses), self.waves)
    both = jnp.concatenate([place, text.astype(jnp.float32)], axis=-1)
    y = jnp.where(forms.there(ellipses)[..., None], both, 0.0)
    for i, n in enumerate((self.hidden, self.hidden, self.width)):
      y = nn.Dense(n, dtype=self.rt.dtype, name=f"fc{i + 1}")(y)
      y = nn.silu(y) if i < 2 else y
    return y


def masking(places: Array) -> Array:
  """Bias of `Gated`'s joint attention: a thing and places outside are apart.

  Neither sees the other, and no thing another one; everything sees itself, and
  places see all places.

  Args:
    places: bool [b, k, n], of n places.

  Returns:
    [b, 1, n + k, n + k], 0 or UNSEEN.
  """
  b, k, n = places.shape
  seen = jnp.ones((b, n, n), bool)
  to_things = jnp.concatenate([seen, places.swapaxes(1, 2)], axis=2)
  own = jnp.broadcast_to(jnp.eye(k, dtype=bool), (b, k, k))
  of_things = jnp.concatenate([places, own], axis=2)
  seen = jnp.concatenate([to_things, of_things], axis=1)
  return jnp.where(seen, 0.0, UNSEEN)[:, None]


def limit(said: Array, places: Array) -> tuple[Array, Array]:
  """Bias of attention to words, and which places see any.

  Args:
    said: bool [b, k, l].
    places: bool [b, k, n].

  Returns:
    [b, 1, n, k l], 0 or UNSEEN; bool [b, n].
  """
  seen = places.swapaxes(1, 2)[..., None] & said[:, None]
  seen = seen.reshape(*seen.shape[:2], -1)
  return jnp.where(seen, 0.0, UNSEEN)[:, None], seen.any(-1)


class Gated(nn.Module, kw_only=True):
  """Joint self-attention with the things' tokens, then an MLP; both gated.

  Attributes:
    heads: attention heads.
    rt: execution choices.
  """

  heads: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: Array, tokens: Array) -> Array:
    """x [b, n, c], tokens [b, k, e] -> [b, n, c]."""
    n, c = x.shape[1:]
    norm = functools.partial(norms.layer_norm, self.rt, eps=1e-5)
    layer = functools.partial(nn.Dense, dtype=self.rt.dtype)
    tokens = layer(c, name="linear")(tokens)
    z = norm(name="norm1")(jnp.concatenate([x, tokens], axis=1))
    joint = attention.CrossAttention(
      heads=self.heads, qkv_bias=False, rt=self.rt, name="joint"
    )
    x = x + gate(self, "gate_joint", x.dtype) * joint(z, z)[:, :n]
    y = layer(8 * c, name="fc1")(norm(name="norm2")(x))
    value, opened = jnp.split(y, 2, axis=-1)
    y = value * jax.nn.gelu(opened, approximate=False)
    y = layer(c, name="fc2")(y)
    return x + gate(self, "gate_mlp", x.dtype) * y


def gate(module: nn.Module, name: str, dtype: jnp.dtype) -> Array:
  """tanh of a learned number that starts at 0."""
  return jnp.tanh(module.param(name, nn.initializers.zeros, ())).astype(dtype)


class Block(context_block.Block, kw_only=True):
  """`context_block.Block` that is told of things; its context is `Things`.

  Attributes:
    factor: how much smaller the map is than the UNet's finest.
  """

  factor: int = 1

  def joined(self, x: Array, context: Things) -> Array:
    """Behind self-attention."""
    gated = Gated(heads=self.heads, rt=self.rt, name=self.named("gated"))
    return gated(x, context.tokens)

  def cross(self, z: Array, context: Things) -> Array:
    """Attention to the caption, and within ellipses to their words."""
    look = self.attention("cross")
    places = forms.coarser(context.places, self.factor)
    bias, some = limit(context.said, places.reshape(*places.shape[:2], -1))
    b, _, _, e = context.words.shape
    words = context.words.reshape(b, -1, e)
    y = look(z, context.context)
    own = jnp.where(some[..., None], look(z, words, bias=bias), 0.0)
    return y + gate(self, self.named("gate_words"), y.dtype) * own


def transformer(
  *, depth: int, factor: int, **options: object
) -> spatial.SpatialTransformer:
  """A `mixer` of a UNet (`nn.unet.Layers`) that is told of things."""
  block: Callable[..., nn.Module] = functools.partial(Block, factor=factor)
  return spatial.SpatialTransformer(depth=depth, block=block, **options)
