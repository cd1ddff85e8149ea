"""Where joints may be: the best cell of each heatmap, and others drawn of it.

    k_0      = argmax H
    k_1, ... ~ max(H, 0) / sum max(H, 0)       with replacement, not sorted
    p_k      = H at k                          as it is

In training all candidates of a joint may be dropped: its code is zero then.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.nn import heatmaps


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidates:
  """How many there are, and how often a joint has none."""

  count: int = field.value(
    32, "candidates per joint, the best cell among them", low=1
  )
  drop: float = field.value(
    0.1, "share of joints without candidates in training", low=0.0, below=1.0
  )

  def draw(self, keys: randomness.Keys, shape: tuple[int, int]) -> method.Draws:
    """cell [b, j, count - 1] and joint_drop [b, j], uniform; see `of`, `kept`.

    Args:
      keys: of the step.
      shape: (b, j).
    """
    draws = {}
    if self.count > 1:
      cells = (*shape, self.count - 1)
      draws["cell"] = jax.random.uniform(keys("cell"), cells)
    if self.drop:
      draws["joint_drop"] = jax.random.uniform(keys("joint_drop"), shape)
    return draws

  def kept(self, draws: method.Draws) -> jax.Array | None:
    """[b, j] 1 or, of a joint that is dropped, 0; None: none is."""
    if "joint_drop" not in draws:
      return None
    return (draws["joint_drop"] > self.drop).astype(jnp.float32)

  def sets(
    self, key: jax.Array, numbers: jax.Array, shape: tuple[int, int]
  ) -> jax.Array:
    """n sets of cells from one draw: uniform [n, b, j, count - 1].

    Args:
      key: of all.
      numbers: [b] of the examples; what one gets depends on its own alone.
      shape: (n, j).
    """
    n, joints = shape
    keys = randomness.numbered(key, numbers)
    cells = (joints, n * (self.count - 1))
    drawn = jax.vmap(lambda k: jax.random.uniform(k, cells))(keys)
    drawn = drawn.reshape(*drawn.shape[:2], n, self.count - 1)
    return jnp.moveaxis(drawn, 2, 0)

  def of(
    self, maps: jax.Array, uniform: jax.Array | None
  ) -> tuple[jax.Array, jax.Array]:
    """(places [b, j, count, 2] in [-1, 1), likelihoods [b, j, count]).

    Args:
      maps: [b, j, side, side].
      uniform: [b, j, count - 1] in [0, 1), which cells; None: the best alone.
    """
    cells = heatmaps.best(maps)[..., None]
    if uniform is not None:
      cells = jnp.concatenate([cells, heatmaps.pick(maps, uniform)], -1)
    side = maps.shape[-1]
    return heatmaps.places(cells, side), heatmaps.values(maps, cells)
