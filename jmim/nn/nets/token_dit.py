"""A bidirectional transformer from tokens to logits of tokens.

With `timed` every block is DiT's, conditioned on the time by adaLN-Zero
(Peebles and Xie 2023); without, a plain pre-norm block.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import adaln
from jmim.nn import block
from jmim.nn import dense
from jmim.nn import norm
from jmim.nn import sizes
from jmim.nn import stack

NORMAL = nn.initializers.normal(0.02)
TIMES = 1000.0  # the time 1 as the sinusoids see it


class TokenDiT(nn.Module, kw_only=True):
  """Learned positions, blocks, LayerNorm, a linear layer that starts at 0.

  Attributes:
    size: width, depth, heads, MLP ratio.
    vocabulary: ids it reads and scores.
    length: tokens.
    timed: conditioned on the time.
    rt: execution choices.
  """

  size: sizes.Size
  vocabulary: int
  length: int
  timed: bool = False
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, tokens: jax.Array, t: jax.Array | None = None
  ) -> dict[str, jax.Array]:
    """Scores every position of [b, length] ints.

    Args:
      tokens: ids below `vocabulary`.
      t: [b] times in [0, 1]; needed if `timed`, else ignored.

    Returns:
      logits: [b, length, vocabulary] float32.
      latent: [b, length, width] after the last block.
    """
    size, rt = self.size, self.rt
    width = size.width
    embed = nn.Embed(
      self.vocabulary,
      width,
      dtype=rt.dtype,
      embedding_init=NORMAL,
      name="token_embed",
    )
    position = self.param("pos_embed", NORMAL, (self.length, width))
    x = rt.shard(embed(tokens) + position.astype(rt.dtype))
    cond = self._condition(t) if self.timed else None
    style = {} if self.timed else {"act": "gelu_tanh"}
    make = functools.partial(
      adaln.AdaBlock if self.timed else block.Block,
      heads=size.heads,
      mlp_ratio=size.mlp_ratio,
      rt=rt,
      parent=None,
      **style,
    )
    latent, _ = stack.Stack(make, size.depth, rt, name="blocks")(x, cond=cond)
    y = norm.layer_norm(rt, "norm", affine=not self.timed)(latent)
    if self.timed:
      y = adaln.last(rt, y, cond)
    logits = dense.dense(
      rt, self.vocabulary, kernel_init=adaln.ZEROS, name="logits"
    )(y)
    return {"logits": logits.astype(jnp.float32), "latent": latent}

  def _condition(self, t: jax.Array) -> jax.Array:
    """[b] times -> [b, width], through its SiLU."""
    width = self.size.width
    embed = adaln.TimeEmbed(
      width=width, hidden=width, rt=self.rt, name="time_embed"
    )
    return nn.silu(embed(TIMES * t))
