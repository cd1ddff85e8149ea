"""Decoder of a masked point encoder: from the top level downwards.

    top       mask tokens in the place of hidden ones, blocks
    below     tokens between centres by distance, beside the encoder's own
              (zeros where hidden), a linear map and residual units, blocks

Point-M2AE and I2P-MAE, as released (ZrrSkywalker/I2P-MAE@7d4e519); positions
are added before every block. There tokens are ordered, visible ones first; here
they stay where they are, which changes nothing but ties of distances.
"""

import dataclasses
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import batchnorm
from jmim.nn import norm
from jmim.nn import points as clouds
from jmim.nn import recompute
from jmim.nn import sizes
from jmim.nn.nets import point_encoder

NEAREST = 3  # centres that a token is made of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Blocks of each level, from the top downwards."""

  depths: tuple = field.value(
    (1, 1), "blocks per level from the top; the last level is reconstructed"
  )
  units: tuple = field.value(
    (1,), "residual units after each step down, one number per step"
  )
  heads: int = field.value(6, "attention heads of every level", low=1)

  @property
  def blocks(self) -> int:
    """Of all levels together."""
    return sum(self.depths)

  def check(
    self, encoder: point_encoder.Dims, prefix: str = "decoder."
  ) -> None:
    """Raises ValueError where it does not follow that encoder.

    Args:
      encoder: whose levels are decoded.
      prefix: of the keys in messages.
    """
    if not 0 < len(self.depths) <= encoder.levels:
      raise ValueError(
        f"{prefix}depths {self.depths}: 1 to {encoder.levels} levels, as the "
        "encoder has them"
      )
    if len(self.units) != len(self.depths) - 1:
      raise ValueError(
        f"{prefix}units {self.units} with {prefix}depths {self.depths}: one "
        "number per step down"
      )
    for width in encoder.widths[-len(self.depths) :]:
      if width % self.heads:
        raise ValueError(
          f"{prefix}heads {self.heads} do not divide the width {width}"
        )
    least = min((*encoder.groups[-len(self.units) :], NEAREST))
    if self.units and least < NEAREST:
      raise ValueError(
        f"dims.groups {encoder.groups}: a step down reads {NEAREST} groups"
      )


class Down(nn.Module, kw_only=True):
  """Tokens of a level from those above and the encoder's own.

  Attributes:
    width: of the level.
    units: residual units.
    rt: execution choices.
  """

  width: int
  units: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    own: jax.Array,
    centres: jax.Array,
    above: jax.Array,
    places: jax.Array,
    *,
    train: bool,
  ) -> jax.Array:
    """[b, m, width] from own [b, m, c] and above [b, n, d].

    Args:
      own: the encoder's tokens, zeros where hidden.
      centres: [b, m, 3] of them.
      above: tokens of the level above.
      places: [b, n, 3] of these.
      train: batch statistics.
    """
    near = clouds.spread(above, places, centres, NEAREST)
    x = jnp.concatenate([own, near.astype(own.dtype)], axis=-1)
    normed = lambda name: batchnorm.Normed(
      features=self.width, rt=self.rt, name=name
    )
    x = recompute.gelu(normed("fuse")(x, train))
    for i in range(self.units):
      y = recompute.gelu(normed(f"unit{i}_first")(x, train))
      x = recompute.gelu(normed(f"unit{i}_second")(y, train) + x)
    return x


class PointDecoder(nn.Module, kw_only=True):
  """Tokens of the lowest decoded level.

  Attributes:
    dims: its blocks.
    encoder: whose levels it decodes.
    rt: execution choices.
  """

  dims: Dims
  encoder: point_encoder.Dims
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    encoded: Sequence[jax.Array],
    visible: Sequence[jax.Array],
    centres: Sequence[jax.Array],
    *,
    train: bool,
    drop: jax.Array | None = None,
  ) -> jax.Array:
    """[b, g, w] of level `levels - len(depths)` after a LayerNorm.

    Args:
      encoded: [b, g, w] of each level, from the points upwards.
      visible: bool [b, g] of each level.
      centres: [b, g, 3] of each level.
      train: batch statistics.
      drop: [blocks, 2, b] factors of residual branches, of all levels one
        after the other from the top downwards; None: all 1.
    """
    top = self.encoder.levels - 1
    init = nn.initializers.normal(0.02)
    token = self.param("mask_token", init, (1, self.encoder.widths[top]))
    token = token.astype(encoded[top].dtype)
    x = jnp.where(visible[top][..., None], encoded[top], token)
    x = self._level(top, 0, x, centres[top], drop=drop)
    for step, units in enumerate(self.dims.units):
      at = top - 1 - step
      own = jnp.where(visible[at][..., None], encoded[at], 0)
      down = Down(
        width=self.encoder.widths[at],
        units=units,
        rt=self.rt,
        name=f"down{step}",
      )
      x = down(own, centres[at], x, centres[at + 1], train=train)
      x = self._level(at, step + 1, x, centres[at], drop=drop)
    return norm.layer_norm(self.rt, "norm", 1e-5)(x)

  def _level(self, at, step, x, centres, *, drop):
    """The blocks of a level; `drop` is that of all of them."""
    size = sizes.Size(
      width=self.encoder.widths[at],
      depth=self.dims.depths[step],
      heads=self.dims.heads,
      mlp_ratio=self.encoder.mlp_ratio,
    )
    place = point_encoder.Position(
      width=size.width, rt=self.rt, name=f"place{step}"
    )(centres)
    made = point_encoder.blocks(size, self.rt, f"blocks{step}")
    first = sum(self.dims.depths[:step])
    factors = None if drop is None else drop[first : first + size.depth]
    return made(
      self.rt.shard(x),
      cond=place,
      per_layer=None if factors is None else {"drop": factors},
    )[0]
