"""A masked encoder and decoder of clouds, and what its two heads predict.

Letters: b batch, g groups of the reconstructed level, k their members, c
numbers of a feature.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.nn import batchnorm
from jmim.nn import block
from jmim.nn import dense
from jmim.nn import initialise
from jmim.nn import points as clouds
from jmim.nn.decoders import points as decoders
from jmim.nn.nets import point_encoder


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskedPoints:
  """Sizes of both."""

  encoder: point_encoder.Dims = field.part(
    point_encoder.Dims, "levels of the encoder"
  )
  decoder: decoders.Dims = field.part(decoders.Dims, "levels of the decoder")
  rt: runtime.Runtime = field.runtime()

  @property
  def net(self) -> point_encoder.PointEncoder:
    """The encoder."""
    return point_encoder.PointEncoder(dims=self.encoder, rt=self.rt)

  @property
  def reverse(self) -> decoders.PointDecoder:
    """The decoder."""
    return decoders.PointDecoder(
      dims=self.decoder, encoder=self.encoder, rt=self.rt
    )

  @property
  def last(self) -> int:
    """The level that is reconstructed."""
    return self.encoder.levels - len(self.decoder.depths)

  def check(self, count: int, key: str = "network") -> None:
    """Raises ValueError where it cannot be built; key: of this part."""
    self.encoder.check(count, f"{key}.encoder.")
    self.decoder.check(self.encoder, f"{key}.decoder.")

  def divide(self, points: jax.Array) -> list[clouds.Level]:
    """Groups of clouds [b, n, 3]."""
    return clouds.divide(points, self.encoder.groups, self.encoder.members)

  def visible(
    self, levels: Sequence[clouds.Level], top: jax.Array, leak: bool
  ) -> list[jax.Array]:
    """bool [b, g] of every level, from what is visible of the top.

    Args:
      levels: groups.
      top: bool [b, g] of the highest level.
      leak: see `points.seen_below`.
    """
    seen = [top]
    for level in levels[:0:-1]:
      count = level.below.shape[1]
      seen.insert(0, clouds.seen_below(level.near, seen[0], count, leak))
    return seen

  def init(
    self, key: jax.Array, points: jax.Array, features: int
  ) -> tuple[method.Tree, method.Tree]:
    """(parameters, running statistics).

    Kernels of the encoder are normal with deviation 0.02, blocks of the
    decoder and heads are Xavier's, as released.

    Args:
      key: random key.
      points: [1, n, 3], shows the shapes.
      features: c, of the 2-D head; 0: there is none.
    """
    keys, levels = jax.random.split(key, 5), self.divide(points)
    made = self.net.init(keys[0], levels)
    params = {"encoder": initialise.normal_kernels(keys[1], made["params"])}
    widths = zip(self.encoder.groups, self.encoder.widths, strict=True)
    encoded = [jnp.zeros((1, *shape)) for shape in widths]
    all_seen = [jnp.ones(x.shape[:2], bool) for x in encoded]
    centres = [level.centres for level in levels]
    back = self.reverse.init(keys[2], encoded, all_seen, centres, train=False)
    params["decoder"] = back["params"]
    heads = (("head_3d", 3, keys[3]), ("head_2d", features, keys[4]))
    for head, numbers, k in heads:
      if numbers:
        x = encoded[self.last]
        params[head] = self._head(numbers).init(k, x)["params"]
    found, own = {"encoder": made, "decoder": back}, batchnorm.STATISTICS
    return params, {name: f[own] for name, f in found.items() if own in f}

  def _head(self, numbers: int):
    """Predicts so many numbers for each member of a group."""
    members = self.encoder.members[self.last]
    init = jax.nn.initializers.xavier_uniform()
    return dense.dense(self.rt, members * numbers, kernel_init=init)

  def encode(
    self,
    params: method.Tree,
    statistics: method.Tree,
    levels: Sequence[clouds.Level],
    visible: Sequence[jax.Array] | None = None,
    *,
    train: bool = False,
    drop: jax.Array | None = None,
  ) -> tuple[list[jax.Array], method.Tree]:
    """([b, g, w] tokens of each level, new statistics of the encoder).

    Args:
      params: of `init`.
      statistics: of `init`.
      levels: groups.
      visible: see `point_encoder.PointEncoder`, as drop.
      train: statistics of the batch.
      drop: [blocks, 2, b] factors of residual branches.
    """
    return batchnorm.applied(
      self.net,
      params["encoder"],
      statistics.get("encoder", {}),
      levels,
      visible,
      train=train,
      drop=drop,
    )

  def forward(
    self,
    params: method.Tree,
    statistics: method.Tree,
    levels: Sequence[clouds.Level],
    visible: Sequence[jax.Array],
    *,
    train: bool,
    draws: method.Draws | None = None,
  ) -> dict[str, jax.Array]:
    """Predictions for every group of the level `last`.

    Args:
      params: of `init`.
      statistics: of `init`.
      levels: groups.
      visible: bool [b, g] of each level.
      train: statistics of the batch.
      draws: those of `draw`; None: nothing is dropped.

    Returns:
      encoded: tokens of each level; head_3d [b, g, k, 3] and, with such a
      head, head_2d [b, g, k, c], float32; statistics, new ones.
    """
    draws = draws or {}
    drop = block.drop_path_of(draws)
    encoded, first = self.encode(
      params, statistics, levels, visible, train=train, drop=drop
    )
    tokens, second = batchnorm.applied(
      self.reverse,
      params["decoder"],
      statistics.get("decoder", {}),
      encoded,
      visible,
      [level.centres for level in levels],
      train=train,
      drop=block.drop_path_of(draws, "drop_back"),
    )
    new = {"encoder": first, "decoder": second}
    kept = {name: new[name] for name in statistics}
    out = {"encoded": encoded, "statistics": kept}
    members = self.encoder.members[self.last]
    for head in ("head_3d", "head_2d"):
      if head in params:
        numbers = params[head]["bias"].shape[0] // members
        y = self._head(numbers).apply({"params": params[head]}, tokens)
        y = y.reshape(*y.shape[:2], members, numbers)
        out[head] = y.astype(jnp.float32)
    return out
