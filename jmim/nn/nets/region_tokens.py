"""A picture as few tokens: learned queries attend to a grid of its features.

    g      = ViT(x)                                    [n, w], one per patch
    q_k    = q_k + Self(q) + Cross(q, g) + MLP(q)      K queries, each layer
    M_k    = softmax over the n places of q_k . g      of the last layer

Made for DiffFAE (Wang et al. 2024); the paper's code was not released.
"""

from typing import Any
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import attention_logits
from jmim.nn import context_block
from jmim.nn import hooks
from jmim.nn.nets import vit


class Seen(NamedTuple):
  """What is seen of a picture.

  Attributes:
    tokens: [b, K, w] float32.
    places: [b, K, n], where each query looks: sums to 1 over the places.
    shares: [b, K, n], whose each place is: sums to 1 over the queries.
  """

  tokens: jax.Array
  places: jax.Array
  shares: jax.Array


class RegionTokens(nn.Module, kw_only=True):
  """Encoder, queries, and layers of attention.

  Attributes:
    encoder: gives the grid.
    count: K, queries.
    depth: layers.
    heads: of the attention to the grid.
    rt: execution choices.
  """

  encoder: vit.ViT
  count: int
  depth: int = 2
  heads: int = 4
  rt: runtime.Runtime = runtime.Runtime()

  @property
  def watched(self) -> str:
    """Name of the attention that the maps are of."""
    return f"block_{self.depth - 1}/cross/attend"

  @nn.compact
  def __call__(self, images: jax.Array) -> jax.Array:
    """[b, h, w, c] images -> [b, K, w] float32 tokens."""
    grid = self.encoder(images)["latent"]
    shape = (1, self.count, grid.shape[-1])
    queries = self.param("queries", nn.initializers.normal(0.02), shape)
    x = jnp.broadcast_to(queries, (len(images), *shape[1:]))
    x = x.astype(self.rt.dtype)
    for i in range(self.depth):
      block = context_block.Block(
        heads=self.heads, rt=self.rt, name=f"block_{i}"
      )
      x, _ = block(x, grid)
    return x.astype(jnp.float32)

  def seen(self, params: Any, images: jax.Array) -> Seen:
    """Tokens and maps of images [b, h, w, c], with given parameters."""
    with hooks.seen(self.watched) as calls:
      tokens = self.apply({"params": params}, images)
    (call,) = calls[self.watched]
    q, k = (x.astype(jnp.float32) for x in call.args[:2])
    found = attention_logits.logits(q, k)
    mean = lambda axis: jax.nn.softmax(found, axis=axis).mean(1)
    return Seen(tokens, places=mean(-1), shares=mean(-2))
