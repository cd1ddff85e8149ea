"""Which tokens of volumes a network sees: random ones, or the first k.

    random   a share is hidden, the same of every volume or drawn for each:
             int(n share) of n tokens
    prefix   the first k are seen, k ~ U{1 .. n-1}: data, so a mask

Hidden voxels are 0, or N(0, 1) noise.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import randomness
from jmim.methods.parts import raster as rasters

Draws = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hidden:
  """Shares of tokens that are hidden, and what stands in their place."""

  ratio: float = field.value(
    0.4, "share of tokens hidden at random", low=0.0, below=1.0
  )
  range: tuple = field.value(
    (), "least and greatest share hidden, drawn per volume; (): ratio"
  )
  fill: str = field.value(
    "zero", "voxels of hidden tokens", choices=("zero", "noise")
  )

  def check(self) -> None:
    """Raises ValueError for a range that is none."""
    pair = self.range
    if pair and not (len(pair) == 2 and 0 <= pair[0] <= pair[1] < 1):
      raise ValueError(
        f"hidden.range={pair}: (), or least and greatest share, below 1"
      )

  def draw(
    self,
    keys: randomness.Keys,
    raster: rasters.Raster,
    batch: int,
    kinds: tuple[str, ...],
  ) -> Draws:
    """What the kinds need: noise [b, n], which orders tokens; prefix k [b].

    With a range also ratio [b]; with noise as filling, fill [b, d, h, w].

    Args:
      keys: by name.
      raster: tokens of a volume.
      batch: b.
      kinds: of "random", "prefix".
    """
    draws: Draws = {}
    if "random" in kinds:
      shape = (batch, raster.count)
      draws["noise"] = jax.random.uniform(keys("mask"), shape)
    if "random" in kinds and self.range:
      low, high = self.range
      draws["ratio"] = jax.random.uniform(
        keys("ratio"), (batch,), minval=low, maxval=high
      )
    if "prefix" in kinds:
      draws["prefix"] = jax.random.randint(
        keys("prefix"), (batch,), 1, raster.count
      )
    if self.fill == "noise":
      shape = (batch, *raster.shape)
      draws["fill"] = jax.random.normal(keys("fill"), shape)
    return draws

  def keep(self, draws: Draws, raster: rasters.Raster) -> dict[str, jax.Array]:
    """What is seen, by kind: [b, n] bool.

    Args:
      draws: as from `draw`.
      raster: tokens of a volume.
    """
    found, n = {}, raster.count
    if "noise" in draws:
      hidden = int(n * self.ratio)
      if "ratio" in draws:
        hidden = jnp.floor(n * draws["ratio"])[:, None]
      found["random"] = draws["noise"].argsort(1).argsort(1) >= hidden
    if "prefix" in draws:
      found["prefix"] = raster.prefix(draws["prefix"])
    return found

  def apply(
    self,
    network: Callable[[jax.Array], jax.Array],
    volumes: jax.Array,
    draws: Draws,
    raster: rasters.Raster,
  ) -> dict[str, jax.Array]:
    """What a network makes of volumes with hidden tokens, by kind.

    Args:
      network: [n, d, h, w] -> the same.
      volumes: [b, d, h, w].
      draws: as from `draw`.
      raster: tokens of a volume.
    """
    keep, fill = self.keep(draws, raster), draws.get("fill", 0.0)
    shown = [raster.hide(volumes, k, fill) for k in keep.values()]
    # One pass for all inputs of an example, side by side.
    both = jnp.stack(shown, 1)
    made = network(both.reshape(-1, *volumes.shape[1:])).reshape(both.shape)
    return {kind: made[:, i] for i, kind in enumerate(keep)}

  def filling(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """What is put into hidden voxels outside of training, [b, d, h, w]."""
    if self.fill == "noise":
      return jax.random.normal(key, shape)
    return jnp.zeros(shape)
