"""BERT as MaskGIT uses it: tokens to logits by a head tied to the embedding.

Chang et al. 2022 (google-research/maskgit@1db2359).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import dense
from jmim.nn import dropout
from jmim.nn import mlp
from jmim.nn import norm
from jmim.nn import postnorm
from jmim.nn import sizes


class Bert(nn.Module, kw_only=True):
  """LN(token + position), post-norm blocks; Dense, GELU, LN, E^T and a bias.

  Attributes:
    size: width, depth, heads, MLP ratio.
    vocabulary: ids it reads and scores.
    length: tokens.
    rate: dropout of the embeddings and of each branch.
    rt: execution choices.
  """

  size: sizes.Size
  vocabulary: int
  length: int
  rate: float = 0.0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    ids: jax.Array,
    *,
    keys: jax.Array | None = None,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """Scores every position of [b, length] ints.

    Args:
      ids: below `vocabulary`.
      keys: [b, 2] dropout keys (`nn.dropout`); None: no dropout.
      taps: per-block outputs wanted, see `postnorm.PostBlock`.

    Returns:
      logits: [b, length, vocabulary] float32.
      latent: [b, length, width] after the last block.
      and each tap: [depth, ...].
    """
    size, rt, init = self.size, self.rt, postnorm.NORMAL
    embed = nn.Embed(
      self.vocabulary,
      size.width,
      dtype=rt.dtype,
      embedding_init=init,
      name="token_embed",
    )
    position = self.param("pos_embed", init, (self.length, size.width))
    layer_norm = lambda name: norm.layer_norm(rt, name, postnorm.EPS)
    x = layer_norm("norm_embed")(embed(ids) + position.astype(rt.dtype))
    x = rt.shard(dropout.dropout(x, keys, self.rate, 0))
    blocks = postnorm.make_stack(size, rt, self.rate, "blocks")
    index = {"index": jnp.arange(size.depth)}
    latent, found = blocks(x, per_layer=index, keys=keys, taps=taps)
    y = dense.dense(rt, size.width, kernel_init=init, name="head")(latent)
    y = layer_norm("norm_head")(mlp.ACTIVATIONS["gelu_tanh"](y))
    zeros = nn.initializers.zeros
    bias = self.param("logits_bias", zeros, (self.vocabulary,))
    logits = embed.attend(y).astype(jnp.float32) + bias
    return {"logits": logits, "latent": latent, **found}
