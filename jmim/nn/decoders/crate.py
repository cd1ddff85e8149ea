"""The decoder of CRATE-MAE (Pai et al. 2024)."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn import dense
from jmim.nn import norm
from jmim.nn import stack


class Decoder(nn.Module, kw_only=True):
  """Blocks as wide as the encoder, and a linear head per patch.

  Neither a projection nor positions come before them.

  Attributes:
    depth: blocks.
    make: returns a fresh, unbound block, as `stack.Stack` wants it.
    out: outputs per patch, p*p*c.
    rt: execution choices.
  """

  depth: int
  make: Callable[[], nn.Module]
  out: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, latent: jax.Array) -> jax.Array:
    """[b, 1 + n, w] -> [b, n, out] in float32, cls dropped.

    Args:
      latent: encoded cls and all patches, in raster order.
    """
    t = latent.shape[1]
    y, valid = masking.fill_up(self.rt.shard(latent), None, self.rt.pad_tokens)
    seen = {} if valid is None else {"mask": valid}
    y, _ = stack.Stack(self.make, self.depth, self.rt, name="blocks")(y, **seen)
    y = norm.layer_norm(self.rt, "norm")(y[:, :t])
    init = nn.initializers.xavier_uniform()
    y = dense.dense(self.rt, self.out, kernel_init=init, name="pred")(y)
    return y[:, 1:].astype(jnp.float32)
