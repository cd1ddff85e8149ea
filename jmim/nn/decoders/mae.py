"""The decoder of MAE (He et al. 2022)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn import block
from jmim.nn import dense
from jmim.nn import norm
from jmim.nn import posemb
from jmim.nn import sizes


class MaskedDecoder(nn.Module, kw_only=True):
  """MAE decoder: mask tokens put back, blocks, a linear head per patch.

  Attributes:
    size: width, depth, heads of the decoder.
    grid: (h, w) in patches.
    out: outputs per patch, p*p*c.
    order: of the sin-cos table.
    cls: the first of the encoded tokens is a class token.
    rt: execution choices.
  """

  size: sizes.Size
  grid: tuple[int, int]
  out: int
  order: str = "xy"
  cls: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, latent: jax.Array, mask: masking.Mask) -> jax.Array:
    """[b, cls + k, w] -> [b, n, out] in float32, raster order, cls dropped.

    Args:
      latent: encoded cls and visible patches, in the order of `mask.keep`.
      mask: the split of the n patches.
    """
    width, dtype = self.size.width, self.rt.dtype
    init = nn.initializers.xavier_uniform()
    y = dense.dense(self.rt, width, kernel_init=init, name="embed")(latent)
    normal = nn.initializers.normal(0.02)
    token = self.param("mask_token", normal, (1, 1, width))
    first = int(self.cls)
    patches = masking.restore(y[:, first:], token, mask)
    y = jnp.concatenate([y[:, :first], patches], axis=1)
    table = posemb.sincos_2d(width, self.grid, self.order, prefix=first)
    y = self.rt.shard(y + jnp.asarray(table, dtype))
    t = y.shape[1]
    y, valid = masking.fill_up(y, None, self.rt.pad_tokens)
    seen = {} if valid is None else {"mask": valid}
    y = block.make_stack(self.size, self.rt, name="blocks")(y, **seen)[0][:, :t]
    y = norm.layer_norm(self.rt, "norm")(y)
    y = dense.dense(self.rt, self.out, kernel_init=init, name="pred")(y)
    return y[:, first:].astype(jnp.float32)
