"""A bidirectional transformer from tokens to logits of tokens.

With `timed` every block is DiT's, told the time by adaLN-Zero (Peebles and Xie
2023); without, a plain pre-norm block.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import adaln
from jmim.nn import block
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
    timed: it is told the time.
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
      t: [b] times in [0, 1]; needed if `timed`, else not looked at.

    Returns:
      logits: [b, length, vocabulary] float32.
      latent: [b, length, width] after the last block.
    """
    size, rt, width = self.size, self.rt, self.size.width
    embed = nn.Embed(
      self.vocabulary,
      width,
      dtype=rt.dtype,
      embedding_init=NORMAL,
      name="token_embed",
    )
    position = self.param("pos_embed", NORMAL, (self.length, width))
    x = rt.shard(embed(tokens) + position.astype(rt.dtype))
    more, cond = {}, None
    if self.timed:
      embed_time = adaln.TimeEmbed(
        width=width, hidden=width, rt=rt, name="time_embed"
      )
      cond = nn.silu(embed_time(TIMES * t))
      more, kind = {"cond": cond}, adaln.AdaBlock
    else:
      kind = functools.partial(block.Block, act="gelu_tanh")
    make = functools.partial(
      kind, size.heads, size.mlp_ratio, rt=rt, parent=None
    )
    latent, _ = stack.Stack(make, size.depth, rt, name="blocks")(x, **more)
    if self.timed:
      mods = nn.Dense(
        2 * width, dtype=rt.dtype, kernel_init=adaln.ZEROS, name="modulation"
      )(cond)
      y = adaln.bare_norm(rt, "norm", affine=False)(latent)
      y = adaln.modulate(y, *jnp.split(mods, 2, axis=-1))
    else:
      y = block.layer_norm(rt, "norm")(latent)
    logits = nn.Dense(
      self.vocabulary, dtype=rt.dtype, kernel_init=adaln.ZEROS, name="logits"
    )(y)
    return {"logits": logits.astype(jnp.float32), "latent": latent}
