"""Attention over the places of a map, as the UNets of latent diffusion have it.

Rombach et al. 2022 (CompVis/latent-diffusion@a506df5, `AttentionBlock` and
`SpatialTransformer`). Maps are NHWC.

Both are called alike, as is whatever else a UNet puts in their place: (map,
context) -> (map, tokens), the latter what each self-attention gave, by the name
of its parameters.

Several contexts, each with a transformer of its own: Ji et al. 2023 (DiffSTE).
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import einops
import flax.linen as nn
import jax

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import context_block
from jmim.nn import conv

ZEROS = nn.initializers.zeros
Mixed = tuple[jax.Array, dict[str, jax.Array]]
# Name -> tokens [b, s, e]; None: not given, as if the name were not there.
Contexts = Mapping[str, jax.Array | None]


class Context(NamedTuple):
  """One of several contexts.

  Attributes:
    name: of it, and of its parameters.
    heads: of its transformer; 0: as many as its place has.
  """

  name: str
  heads: int = 0


def mean(maps: Sequence[jax.Array]) -> jax.Array:
  """[b, h, w, c] of maps alike."""
  return sum(maps) / len(maps)


class SpatialAttention(nn.Module, kw_only=True):
  """x + attention over all positions, zero at the start.

  Attributes:
    heads: attention heads.
    groups: of the norm.
    rt: execution choices.
    self_attention: stands where it does, see `context_block`; None: that one.
    eps: of the norm.
  """

  heads: int
  groups: int = 32
  rt: runtime.Runtime = runtime.Runtime()
  self_attention: context_block.SelfAttention | None = None
  eps: float = 1e-5

  @nn.compact
  def __call__(self, x: jax.Array, context: jax.Array | None = None) -> Mixed:
    """[b, h, w, c] -> the same, {"attn": [b, h w, c]}; reads no context."""
    del context
    h = x.shape[1]
    y = conv.group_norm(self.rt, self.groups, "norm", self.eps)(x)
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
    self_attention: see `context_block.Block`.
    block: makes what stands where `context_block.Block` does.
  """

  heads: int
  depth: int = 1
  groups: int = 32
  rt: runtime.Runtime = runtime.Runtime()
  self_attention: context_block.SelfAttention | None = None
  block: Callable[..., nn.Module] = context_block.Block

  @nn.compact
  def __call__(self, x: jax.Array, context: Any) -> Mixed:
    """x [b, h, w, c] -> [b, h, w, c], {"self_0": tokens}.

    Args:
      x: the map.
      context: [b, s, e], or what `block` reads.
    """
    _, h, _, c = x.shape
    rt, found = self.rt, {}
    y = conv.group_norm(rt, self.groups, "norm", 1e-6)(x)
    y = einops.rearrange(y, "b h w c -> b (h w) c")
    y = nn.Dense(c, dtype=rt.dtype, name="proj_in")(y)
    for i in range(self.depth):
      block = self.block(
        heads=self.heads,
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


class SeveralTransformers(nn.Module, kw_only=True):
  """A transformer for each context, all of one map; their outputs are joined.

      y = join over k of T_k(x, c_k)        k: the contexts that are given

  Each T_k holds its own residual: the mean is x and the mean of what they add.
  The parameters of T_k are below its name; those of a single one are where a
  `SpatialTransformer` would have them.

  Attributes:
    contexts: which there are.
    heads: attention heads of those that say none.
    options: other fields of `SpatialTransformer`.
    join: maps alike -> one map.
  """

  contexts: Sequence[Context]
  heads: int
  options: Mapping[str, Any]
  join: Callable[[Sequence[jax.Array]], jax.Array] = mean

  @nn.compact
  def __call__(self, x: jax.Array, context: Contexts) -> Mixed:
    """One map to the next.

    Args:
      x: [b, h, w, c].
      context: those that are given; all of them while parameters are made.

    Returns:
      [b, h, w, c], and tokens by "<context>/self_0", of a single one by
      "self_0".

    Raises:
      ValueError: none is given, one that is not known, or not all at the start.
    """
    given = self._given(context)
    maps, found = [], {}
    for name, heads in self.contexts:
      if name not in given:
        continue
      one = SpatialTransformer(
        heads=heads or self.heads, name=name, **self.options
      )
      below = f"{name}/"
      if len(self.contexts) == 1:
        nn.share_scope(self, one)
        below = ""
      y, tokens = one(x, given[name])
      maps.append(y)
      found |= {f"{below}{key}": value for key, value in tokens.items()}
    return self.join(maps), found

  def _given(self, context):
    """Name -> tokens, of those that are there."""
    known = [c.name for c in self.contexts]
    if not isinstance(context, Mapping):
      raise ValueError(f"a context without a name, of a UNet that has {known}")
    given = {n: c for n, c in context.items() if c is not None}
    missing = set(known) - set(given)
    if set(given) - set(known) or not given:
      raise ValueError(f"contexts {sorted(given)} of a UNet that has {known}")
    if missing and self.is_initializing():
      raise ValueError(f"parameters are made without contexts {missing}")
    return given
