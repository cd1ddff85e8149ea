"""Encoder of clouds in levels of groups: mini-PointNets and transformers.

    tokens of level 0   PointNet of a group's points, relative to its centre
    tokens of level i   PointNet of the encoded tokens of a group's members
    encoder i           pre-norm blocks of the visible tokens; an MLP of each
                        token's centre is added before every block

Point-M2AE (Zhang et al., NeurIPS 2022) and I2P-MAE (CVPR 2023), equal to the
released code (ZrrSkywalker/I2P-MAE@7d4e519). All tokens are computed and a mask
says which are attended to: examples have different numbers of visible ones, and
shapes must not depend on data. Masked tokens stay what the PointNet made of
them, and no visible group has any of these among its members. Batch
normalisation sees all groups, hidden ones too, as released: in training a
hidden group moves the statistics, in evaluation it moves nothing.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import batchnorm
from jmim.nn import block
from jmim.nn import dense
from jmim.nn import norm
from jmim.nn import points as clouds
from jmim.nn import recompute
from jmim.nn import sizes
from jmim.nn import stack

_FAR = -1e5  # added to logits of pairs outside the radius, as released


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Groups and widths of each level, from the points upwards."""

  groups: tuple = field.value((512, 256, 64), "groups of each level")
  members: tuple = field.value(
    (16, 8, 8), "points, then tokens, in a group, its centre included"
  )
  widths: tuple = field.value((96, 192, 384), "width of each level's tokens")
  depths: tuple = field.value((5, 5, 5), "blocks of each level")
  heads: int = field.value(6, "attention heads of every level", low=1)
  mlp_ratio: float = field.value(4.0, "MLP hidden / width", above=0)
  embed: int = field.value(
    128,
    "first width of the PointNet of points; it widens to 4 times that",
    low=1,
  )

  @property
  def levels(self) -> int:
    """How many."""
    return len(self.groups)

  @property
  def blocks(self) -> int:
    """Of all levels together."""
    return sum(self.depths)

  def size(self, level: int) -> sizes.Size:
    """Of the transformer of a level."""
    return sizes.Size(
      width=self.widths[level],
      depth=self.depths[level],
      heads=self.heads,
      mlp_ratio=self.mlp_ratio,
    )

  def unread(self, level: int) -> str:
    """Regex of norms that nothing reads whose lowest level read is that one.

    The levels above read their tokens before the norm.
    """
    return f"encoder/norm({'|'.join(map(str, range(level))) or '-'})/"

  def check(self, count: int, prefix: str = "dims.") -> None:
    """Raises ValueError where clouds of so many points have no such groups.

    Args:
      count: points of a cloud.
      prefix: of the keys in messages.
    """
    for name in ("members", "widths", "depths"):
      if len(getattr(self, name)) != self.levels or not self.levels:
        raise ValueError(
          f"{prefix}{name} {getattr(self, name)} with {prefix}groups "
          f"{self.groups}: one number per level"
        )
    below = (count, *self.groups[:-1])
    for level, n in enumerate(below):
      for name in ("groups", "members"):
        asked = getattr(self, name)[level]
        if not 0 < asked <= n:
          raise ValueError(
            f"{prefix}{name} {getattr(self, name)}: level {level} is made of "
            f"{n} {'tokens' if level else 'points'}"
          )
      if self.widths[level] % self.heads:
        raise ValueError(
          f"{prefix}widths {self.widths} do not divide by {self.heads} heads"
        )


# For tests.
TINY = Dims(
  groups=(12, 6, 4),
  members=(4, 3, 3),
  widths=(8, 12, 16),
  depths=(1, 1, 1),
  heads=2,
  embed=8,
)


class PointNet(nn.Module, kw_only=True):
  """Groups to tokens: two shared maps, the maximum beside, two more, maximum.

  A permutation of the members changes nothing.

  Attributes:
    first: width of the first map.
    inner: width of the second; the third reads twice that.
    middle: width of the third.
    width: of the token.
    rt: execution choices.
  """

  first: int
  inner: int
  middle: int
  width: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """[b, g, k, c] members -> [b, g, width]."""
    normed = lambda width, name: batchnorm.Normed(
      features=width, rt=self.rt, name=name
    )
    y = nn.relu(normed(self.first, "map1")(x, train))
    y = dense.dense(self.rt, self.inner, name="map2")(y)
    most = clouds.most(y)[:, :, None]
    y = jnp.concatenate([jnp.broadcast_to(most, y.shape), y], axis=-1)
    y = nn.relu(normed(self.middle, "map3")(y, train))
    y = dense.dense(self.rt, self.width, name="map4")(y)
    return clouds.most(y)


class Position(nn.Module, kw_only=True):
  """A centre as a vector: linear, GELU, linear."""

  width: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, centres: jax.Array) -> jax.Array:
    """[b, g, 3] -> [b, g, width]."""
    y = dense.dense(self.rt, self.width, name="fc1")(centres)
    return dense.dense(self.rt, self.width, name="fc2")(recompute.gelu(y))


class Placed(nn.Module, kw_only=True):
  """A pre-norm block whose input is tokens plus their positions."""

  size: sizes.Size
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, x: jax.Array, *, cond: jax.Array, **more: Any
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, g, w] and positions `cond` of that shape; more: of `block.Block`."""
    inner = block.Block(
      heads=self.size.heads,
      mlp_ratio=self.size.mlp_ratio,
      qkv_bias=False,
      eps=1e-5,
      rt=self.rt,
      name="block",
    )
    return inner(x + cond, **more)


def blocks(
  size: sizes.Size, rt: runtime.Runtime, name: str | None = None
) -> stack.Stack:
  """A stack of `Placed`; its `cond` are the positions."""
  make = lambda: Placed(size=size, rt=rt, parent=None)
  return stack.Stack(make, size.depth, rt, name=name)


class PointEncoder(nn.Module, kw_only=True):
  """Tokens of every level, see the module.

  Attributes:
    dims: groups and widths.
    rt: execution choices.
  """

  dims: Dims
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    levels: Sequence[clouds.Level],
    visible: Sequence[jax.Array] | None = None,
    *,
    train: bool = False,
    drop: jax.Array | None = None,
    radii: Sequence[float] = (),
  ) -> list[jax.Array]:
    """[b, g, w] tokens of each level after its LayerNorm.

    Args:
      levels: groups, see `points.divide`.
      visible: bool [b, g] of each level; None: all are. What is not holds
        nothing of use.
      train: batch statistics in the PointNets.
      drop: [blocks, 2, b] factors of residual branches, of all levels one
        after the other; None: all 1.
      radii: distance per level up to which tokens attend to each other; ():
        any.
    """
    starts = list(itertools.accumulate((0, *self.dims.depths)))
    encoded, below = [], None
    for i, level in enumerate(levels):
      inside = (
        level.relative if below is None else clouds.gather(below, level.near)
      )
      tokens = self.rt.shard(self._embed(i)(inside, train))
      place = Position(width=self.dims.widths[i], rt=self.rt, name=f"place{i}")
      factors = None if drop is None else drop[starts[i] : starts[i + 1]]
      x, _ = blocks(self.dims.size(i), self.rt, f"blocks{i}")(
        tokens,
        cond=place(level.centres),
        per_layer=None if factors is None else {"drop": factors},
        mask=None if visible is None else visible[i],
        bias=_local(level.centres, radii[i]) if radii else None,
      )
      encoded.append(norm.layer_norm(self.rt, f"norm{i}", 1e-5)(x))
      # Hidden tokens stay what they were: statistics of the next level's
      # batch norm see them, and no visible group does.
      below = (
        x if visible is None else jnp.where(visible[i][..., None], x, tokens)
      )
    return encoded

  def _embed(self, level: int) -> PointNet:
    """The PointNet below a level."""
    widths = self.dims.widths
    if level:
      inside = widths[level - 1]
      first, inner, middle = inside, inside, widths[level]
    else:
      first, inner, middle = (self.dims.embed * n for n in (1, 2, 4))
    return PointNet(
      first=first,
      inner=inner,
      middle=middle,
      width=widths[level],
      rt=self.rt,
      name=f"embed{level}",
    )


def _local(centres: jax.Array, radius: float) -> jax.Array:
  """[b, 1, g, g] what is added to logits: pairs further apart see nothing."""
  distances = clouds.squared_distances(centres, centres)
  return jnp.where(distances[:, None] >= radius**2, _FAR, 0.0)
