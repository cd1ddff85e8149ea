"""I-JEPA's predictor: context tokens and positions in, target tokens out."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import block
from jmim.nn import norm
from jmim.nn import posemb
from jmim.nn import sizes


class Predictor(nn.Module, kw_only=True):
  """A narrow ViT over context tokens and mask tokens at the targets.

  Attributes:
    size: width, depth, heads.
    grid: (h, w) in patches.
    out: width of the prediction.
    rt: execution choices.
  """

  size: sizes.Size
  grid: tuple[int, int]
  out: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    context: jax.Array,
    context_ids: jax.Array,
    target_ids: jax.Array,
    valid: jax.Array | None = None,
  ) -> jax.Array:
    """One sequence per row: context, then one block of targets.

    Args:
      context: [r, k, d] encoded tokens.
      context_ids: [r, k] int32, the patches of the context.
      target_ids: [r, m] int32, the patches to predict.
      valid: [r, k + m] bool, False = padding; None: none is.

    Returns:
      [r, m, out] float32.
    """
    width, dtype = self.size.width, self.rt.dtype
    dense = lambda n, name: nn.Dense(n, dtype=dtype, name=name)
    table = jnp.asarray(posemb.sincos_2d(width, self.grid), dtype)
    normal = nn.initializers.normal(0.02)
    token = self.param("mask_token", normal, (1, 1, width)).astype(dtype)
    x = dense(width, "embed")(context) + table[context_ids]
    x = jnp.concatenate([x, token + table[target_ids]], axis=1)
    blocks = block.make_stack(self.size, self.rt, name="blocks")
    x, _ = blocks(self.rt.shard(x), mask=valid)
    x = norm.layer_norm(self.rt, "norm")(x[:, context.shape[1] :])
    return dense(self.out, "proj")(x).astype(jnp.float32)
