"""Attention over the places of a map, as the UNets of latent diffusion have it.

Rombach et al. 2022 (CompVis/latent-diffusion@a506df5, `AttentionBlock` and
`SpatialTransformer`). Maps are NHWC.

Both are called alike, as is whatever else a UNet puts in their place: (map,
context) -> (map, tokens), the latter what each self-attention gave, by the name
of its parameters.
"""

from collections.abc import Sequence

import einops
import flax.linen as nn
import jax

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import context_block
from jmim.nn import conv

ZEROS = nn.initializers.zeros
Mixed = tuple[jax.Array, dict[str, jax.Array]]


class SpatialAttention(nn.Module, kw_only=True):
  """x + attention over all positions, zero at the start.

  Attributes:
    heads: attention heads.
    groups: of the norm.
    rt: execution choices.
    self_attention: stands where it does, see `context_block`; None: that one.
  """

  heads: int
  groups: int = 32
  rt: runtime.Runtime = runtime.Runtime()
  self_attention: context_block.SelfAttention | None = None

  @nn.compact
  def __call__(self, x: jax.Array, context: jax.Array | None = None) -> Mixed:
    """[b, h, w, c] -> the same, {"attn": [b, h w, c]}; reads no context."""
    del context
    h = x.shape[1]
    y = conv.group_norm(self.rt, self.groups, "norm")(x)
    y = einops.rearrange(y, "b h w c -> b (h w) c")
    options = {"heads": self.heads, "rt": self.rt, "name": "attn"}
    if self.self_attention is not None:
      y = self.self_attention(**options)(y, y)
    else:
      y, _ = attention.SelfAttention(proj_init=ZEROS, **options)(y)
    made = x + einops.rearrange(y, "b (h w) c -> b h w c", h=h)
    return self.rt.shard(made), {"attn": y}


class SpatialTransformer(nn.Module, kw_only=True):
  """GN, 1 x 1 in, blocks with a context, 1 x 1 out.

  Attributes:
    heads: attention heads.
    depth: blocks.
    groups: of the norm.
    rt: execution choices.
    self_attention: see `context_block.Block`, as are the others.
    gated: of its MLP.
    attention_bias: of its attentions.
    scales: learned vectors.
  """

  heads: int
  depth: int = 1
  groups: int = 32
  rt: runtime.Runtime = runtime.Runtime()
  self_attention: context_block.SelfAttention | None = None
  gated: bool = True
  attention_bias: bool = False
  scales: Sequence[str] = ()

  @nn.compact
  def __call__(self, x: jax.Array, context: jax.Array) -> Mixed:
    """x [b, h, w, c], context [b, s, e] -> [b, h, w, c], {"self_0": tokens}."""
    _, h, _, c = x.shape
    rt, found = self.rt, {}
    y = conv.group_norm(rt, self.groups, "norm", 1e-6)(x)
    y = einops.rearrange(y, "b h w c -> b (h w) c")
    y = nn.Dense(c, dtype=rt.dtype, name="proj_in")(y)
    for i in range(self.depth):
      block = context_block.Block(
        heads=self.heads,
        gated=self.gated,
        attention_bias=self.attention_bias,
        scales=self.scales,
        self_attention=self.self_attention,
        suffix=f"_{i}",
        rt=rt,
        name=f"block_{i}",
      )
      # Its parameters are this module's own, as they were before it had a
      # module to itself.
      nn.share_scope(self, block)
      y, taps = block(y, context)
      found[f"self_{i}"] = taps["self"]
    y = nn.Dense(c, dtype=rt.dtype, name="proj_out", kernel_init=ZEROS)(y)
    made = x + einops.rearrange(y, "b (h w) c -> b h w c", h=h)
    return rt.shard(made), found
