"""A vector denoised by looking at an image: the text branch of DiffDis.

Huang et al. 2023, whose code is not public: what a block is made of is a
choice of this code base. The noisy vector becomes a token, or a few, and for
each scale of a UNet there is one block of that scale's width:

    y <- W y + V silu(time)                  W only where the width changes
    y <- y + Cross(LN y, GN m);  y <- y + MLP(LN y)

with the map m of that scale as keys and values. The image is never told the
vector: the network that made the maps is the same with and without a branch.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import adaln
from jmim.nn import attention
from jmim.nn import conv
from jmim.nn import mlp
from jmim.nn import norm as norms
from jmim.nn.nets import unet


class QueryBranch(nn.Module, kw_only=True):
  """Noisy vector, its time and maps of an image to the vector itself.

  Attributes:
    tokens: that the vector is made into.
    head_width: channels of an attention head.
    groups: of the maps' norms.
    rt: execution choices.
  """

  tokens: int = 1
  head_width: int = 64
  groups: int = 32
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, x: jax.Array, t: jax.Array, maps: Sequence[jax.Array]
  ) -> jax.Array:
    """Predicts the vector.

    Args:
      x: noisy vectors [b, d].
      t: times [b].
      maps: [b, h, w, c] each, c a multiple of `head_width` and of `groups`.

    Returns:
      [b, d] float32.
    """
    rt, width = self.rt, maps[0].shape[-1]
    emb = adaln.TimeEmbed(
      width=4 * width,
      hidden=4 * width,
      waves=width,
      std=0.0,
      rt=rt,
      name="time_embed",
    )(t)
    emb = nn.silu(emb)
    y = self._dense(self.tokens * width, "embed")(x.astype(rt.dtype))
    y = einops.rearrange(y, "b (n c) -> b n c", n=self.tokens)
    for i, scale in enumerate(maps):
      y = self._looked(y, emb, scale, i)
    y = norms.layer_norm(rt, "norm_out", 1e-5)(y)
    y = einops.rearrange(y, "b n c -> b (n c)")
    return self._dense(x.shape[-1], "out")(y).astype(jnp.float32)

  def _looked(self, y, emb, scale, i):
    """Tokens [b, n, c'] after they have looked at map i, as wide as it is."""
    width = scale.shape[-1]
    if y.shape[-1] != width:
      y = self._dense(width, f"width_{i}")(y)
    y = y + self._dense(width, f"time_{i}")(emb)[:, None]
    keys = conv.group_norm(self.rt, self.groups, f"norm_map_{i}")(scale)
    look = attention.CrossAttention(
      heads=width // self.head_width,
      qkv_bias=False,
      rt=self.rt,
      name=f"cross_{i}",
    )
    norm = functools.partial(norms.layer_norm, self.rt, eps=1e-5)
    keys = einops.rearrange(keys, "b h w c -> b (h w) c")
    y = y + look(norm(f"norm_cross_{i}")(y), keys)
    think = mlp.MLP(hidden=4 * width, rt=self.rt, name=f"mlp_{i}")
    return self.rt.shard(y + think(norm(f"norm_mlp_{i}")(y)))

  def _dense(self, width, name):
    return nn.Dense(width, dtype=self.rt.dtype, name=name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Size of the branch; it is as wide as the maps that it looks at."""

  tokens: int = field.value(
    1, "tokens that the noisy vector is made into", low=1
  )
  head_width: int = field.value(
    64, "channels of an attention head of the branch", low=1
  )

  def net(self, levels: unet.Dims, rt: runtime.Runtime) -> QueryBranch:
    """The branch of a UNet of these levels."""
    return QueryBranch(
      tokens=self.tokens,
      head_width=self.head_width,
      groups=levels.norm_groups,
      rt=rt,
    )

  def init(
    self, key: jax.Array, levels: unet.Dims, width: int, rt: runtime.Runtime
  ) -> Any:
    """Fresh parameters.

    Args:
      key: of them.
      levels: of the UNet.
      width: d, numbers of the vector.
      rt: execution choices.
    """
    down = [levels.width * times for times in levels.multipliers]
    maps = [jnp.zeros((1, 1, 1, c)) for c in (*down, down[-1], *down[::-1])]
    x = jnp.zeros((1, width))
    return self.net(levels, rt).init(key, x, jnp.zeros(1), maps)["params"]

  def check(self, levels: unet.Dims, key: str) -> None:
    """Raises ValueError unless heads fill the width of every map.

    Args:
      levels: of the UNet.
      key: of these dimensions in the method, with a dot, for messages.
    """
    for times in levels.multipliers:
      if (width := levels.width * times) % self.head_width:
        raise ValueError(
          f"{key}head_width {self.head_width} does not divide the width "
          f"{width} of a level of the UNet"
        )
