"""Masks of several blocks: a context and targets to predict from it (I-JEPA).

Letters: b batch, t targets, k and m static lengths of the lists of patches.
"""

import dataclasses

import jax

from jmim.core import field
from jmim.masks import rectangles


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiBlock:
  """Number, area and shape of the blocks; see `rectangles.multi_block`."""

  targets: int = field.value(4, "target blocks per image", low=1)
  target_scale: tuple = field.value(
    (0.15, 0.2), "least and greatest area of a target [share of the grid]"
  )
  target_aspect: tuple = field.value(
    (0.75, 1.5), "least and greatest height / width of a target"
  )
  context_scale: tuple = field.value(
    (0.85, 1.0), "least and greatest area of the context [share of the grid]"
  )
  min_keep: int = field.value(
    10, "context tokens to exceed, without those of the targets", low=0
  )
  context_tokens: int = field.value(
    0, "greatest number of context tokens; 0: no limit", low=0
  )

  def lengths(self, grid: tuple[int, int]) -> tuple[int, int]:
    """Static lengths (k, m) of the context and of a target list."""
    whole = rectangles.most_cells(grid, self.context_scale, (1.0, 1.0))
    k = min(self.context_tokens or whole, whole)
    return k, rectangles.most_cells(grid, self.target_scale, self.target_aspect)

  def check(self, grid: tuple[int, int]) -> None:
    """Raises ValueError for ranges and counts that are impossible."""
    for name in ("target_scale", "target_aspect", "context_scale"):
      low, high = getattr(self, name)
      if not 0 < low <= high:
        raise ValueError(f"{name} {(low, high)} is not 0 < least <= greatest")
    for name, aspect in (
      ("target_scale", self.target_aspect),
      ("context_scale", (1.0, 1.0)),
    ):
      scale = getattr(self, name)
      if not rectangles.fewest_cells(grid, scale, aspect):
        raise ValueError(
          f"{name} {tuple(scale)}: on a grid of {grid[0]} x {grid[1]} some "
          "blocks round to no patch"
        )
    k, _ = self.lengths(grid)
    if self.min_keep >= k:
      raise ValueError(f"min_keep {self.min_keep} of {k} tokens")

  def draw(
    self, key: jax.Array, batch: int, grid: tuple[int, int]
  ) -> dict[str, jax.Array]:
    """Lists of patches, padded to their static lengths.

    Returns:
      context [b, 1, k] and targets [b, t, m] int32; context_valid and
      targets_valid, bool of the same shapes: False = padding.
    """
    context, targets = rectangles.multi_block(
      key,
      batch,
      grid=grid,
      targets=self.targets,
      target_scale=self.target_scale,
      target_aspect=self.target_aspect,
      context_scale=self.context_scale,
      min_keep=self.min_keep,
    )
    k, m = self.lengths(grid)
    context_ids, context_valid = rectangles.ids(context[:, None], k)
    target_ids, target_valid = rectangles.ids(targets, m)
    return {
      "context": context_ids,
      "context_valid": context_valid,
      "targets": target_ids,
      "targets_valid": target_valid,
    }
