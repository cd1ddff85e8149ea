"""Residual block and attention of the autoencoder of latent diffusion."""

import einops
import flax.linen as nn
import jax

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import conv

EPS = 1e-6


class Block(nn.Module):
  """GN SiLU conv GN SiLU conv, plus the input (no dropout, as published)."""

  width: int
  groups: int = 32
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> [b, h, w, width]."""
    rt = self.rt
    norm = lambda name: conv.group_norm(rt, self.groups, name, EPS)
    init = {"kernel_init": conv.TORCH}
    y = nn.silu(norm("norm1")(x))
    y = conv.conv3(rt, self.width, "conv1", **init)(y)
    y = nn.silu(norm("norm2")(y))
    y = conv.conv3(rt, self.width, "conv2", **init)(y)
    if x.shape[-1] != self.width:
      x = nn.Dense(self.width, dtype=rt.dtype, name="skip", **init)(x)
    return rt.shard(x + y)


class Attention(nn.Module):
  """x + attention over all positions, one head."""

  groups: int = 32
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> the same."""
    h = x.shape[1]
    y = conv.group_norm(self.rt, self.groups, "norm", EPS)(x)
    y, _ = attention.SelfAttention(
      heads=1,
      rt=self.rt,
      qkv_init=conv.TORCH,
      proj_init=conv.TORCH,
      name="attn",
    )(einops.rearrange(y, "b h w c -> b (h w) c"))
    return self.rt.shard(x + einops.rearrange(y, "b (h w) c -> b h w c", h=h))
