"""Attention over the places of a map, as the UNets of latent diffusion have it.

Rombach et al. 2022 (CompVis/latent-diffusion@a506df5, `AttentionBlock` and
`SpatialTransformer`). Maps are NHWC.
"""

import functools

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import conv
from jmim.nn import norm as norms

ZEROS = nn.initializers.zeros


class SpatialAttention(nn.Module):
  """x + attention over all positions, zero at the start."""

  heads: int
  groups: int = 32
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> the same."""
    h = x.shape[1]
    y = conv.group_norm(self.rt, self.groups, "norm")(x)
    y, _ = attention.SelfAttention(
      heads=self.heads, rt=self.rt, proj_init=ZEROS, name="attn"
    )(einops.rearrange(y, "b h w c -> b (h w) c"))
    return self.rt.shard(x + einops.rearrange(y, "b (h w) c -> b h w c", h=h))


class SpatialTransformer(nn.Module, kw_only=True):
  """GN, 1 x 1 in, blocks of self-, cross-attention and GEGLU, 1 x 1 out.

  Attributes:
    heads: attention heads.
    depth: blocks.
    groups: of the norm.
    rt: execution choices.
  """

  heads: int
  depth: int = 1
  groups: int = 32
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, context: jax.Array) -> jax.Array:
    """x [b, h, w, c], context [b, s, e] -> [b, h, w, c]."""
    _, h, _, c = x.shape
    rt = self.rt
    dense = lambda n, name, **kw: nn.Dense(n, dtype=rt.dtype, name=name, **kw)
    norm = lambda name: norms.layer_norm(rt, name, 1e-5)
    look = functools.partial(
      attention.CrossAttention, heads=self.heads, qkv_bias=False, rt=rt
    )
    y = conv.group_norm(rt, self.groups, "norm", 1e-6)(x)
    y = dense(c, "proj_in")(einops.rearrange(y, "b h w c -> b (h w) c"))
    for i in range(self.depth):
      z = norm(f"norm1_{i}")(y)
      y = y + look(name=f"self_{i}")(z, z)
      z = norm(f"norm2_{i}")(y)
      y = y + look(name=f"cross_{i}")(z, context)
      z = dense(8 * c, f"fc1_{i}")(norm(f"norm3_{i}")(y))
      value, gate = jnp.split(z, 2, axis=-1)
      gate = jax.nn.gelu(gate, approximate=False)
      y = y + dense(c, f"fc2_{i}")(value * gate)
    y = dense(c, "proj_out", kernel_init=ZEROS)(y)
    return rt.shard(x + einops.rearrange(y, "b (h w) c -> b h w c", h=h))
