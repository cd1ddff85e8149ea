"""Which patches of a voxelised cloud an encoder sees (FastDiT-3D).

A patch is occupied if a point is in one of its voxels. Of n_f occupied and n_b
empty patches n_f - floor(r_f n_f) and n_b - floor(r_b n_b) stay, at random.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.masks import occupied
from jmim.nn import grid3d
from jmim.nn import voxels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Occupancy:
  """Shares that are hidden, and most tokens that stay."""

  aware: bool = field.value(
    True, "occupied and empty patches are hidden apart; else at random"
  )
  occupied_share: float = field.value(
    0.95, "r_f, share of occupied patches hidden", low=0.0, below=1.0
  )
  empty_share: float = field.value(
    0.99, "r_b, share of empty patches hidden", low=0.0, high=1.0
  )
  occupied_budget: int = field.value(
    0, "most occupied patches that stay; 0: as r_f says", low=0
  )
  empty_budget: int = field.value(
    0, "most empty patches that stay; 0: as r_b says", low=0
  )

  def slots(self, n: int, points: int) -> tuple[int, int]:
    """(K_f, K_b): tokens of either kind that an encoder has room for.

    Args:
      n: patches of a cloud.
      points: of a cloud; so many patches can be occupied, and one always is.
    """
    most = min(n, points), n - 1
    return (
      occupied.slots(most[0], self.occupied_share, self.occupied_budget),
      occupied.slots(most[1], self.empty_share, self.empty_budget),
    )

  @property
  def hides(self) -> bool:
    """Whether anything is hidden at all."""
    budgets = self.occupied_budget, self.empty_budget
    return any((self.occupied_share, self.empty_share, *budgets))

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, int]
  ) -> dict[str, jax.Array]:
    """scores [b, n] ~ U[0, 1), if anything is hidden."""
    if not self.hides:
      return {}
    return {"scores": jax.random.uniform(keys("scores"), shape)}

  def keep(
    self, draws: method.Draws, vox: voxels.Voxels, patch: int
  ) -> occupied.Kept | None:
    """The patches that stay, as many slots whether aware or not; None: all.

    Args:
      draws: of `draw`; the smallest scores stay.
      vox: clouds.
      patch: side of a patch in voxels.
    """
    if "scores" not in draws:
      return None
    scores, points = draws["scores"], vox.coords.shape[1]
    n = scores.shape[1]
    sizes, ratios = (
      self.slots(n, points),
      (self.occupied_share, self.empty_share),
    )
    if not self.aware:
      return occupied.uniform(scores, min(sum(sizes), n))
    return occupied.split(scores, filled(vox.count, patch), ratios, sizes)


def filled(count: jax.Array, patch: int) -> jax.Array:
  """[b, r, r, r] points of voxels -> [b, n] bool, patches that have any."""
  patches = grid3d.patchify((count > 0)[..., None], patch)
  return jnp.any(patches, axis=-1)
