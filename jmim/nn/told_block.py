"""What tells a block of a transformer a sequence: attention to a context.

    x <- x + Cross(LN x, c)      c [b, s, w]: the context, brought to the width

It stands between attention and MLP of `adaln.AdaBlock`, without gate and
modulation, and begins by adding nothing, as in PixArt-alpha (Chen et al. 2024,
where x is not normed): a network that was trained without it stays what it was.
"""

import flax.linen as nn
import jax

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import norm

ZEROS = nn.initializers.zeros


class Told(nn.Module, kw_only=True):
  """The sublayer; all that there is of a context is looked at.

  Attributes:
    heads: attention heads.
    rt: execution choices.
  """

  heads: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, context: jax.Array | None) -> jax.Array:
    """[b, t, w] -> [b, t, w].

    Args:
      x: tokens.
      context: [b, s, w]. None, while parameters are made, which a stack does
        without one: its width is that of x.

    Raises:
      ValueError: there is none.
    """
    if context is None:
      if not self.is_initializing():
        raise ValueError("blocks that are told a context, and none is given")
      context = x
    y = norm.layer_norm(self.rt, "norm")(x)
    cross = attention.CrossAttention(
      heads=self.heads, rt=self.rt, proj_init=ZEROS, name="attn"
    )
    return self.rt.shard(x + cross(y, context))
