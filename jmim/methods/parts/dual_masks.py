"""Masks of video for an encoder and a decoder (VideoMAE, VideoMAE V2).

Letters: b batch, t steps of tubelets, h w grid, n = t h w tokens.
"""

import dataclasses

import jax

from jmim.core import field
from jmim.core import randomness
from jmim.masks import tokens as masking
from jmim.masks import tubes

Grid = tuple[int, int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Masks:
  """What the encoder does not see, and what the decoder does not predict."""

  mask_ratio: float = field.value(
    0.9, "share of the cells hidden from the encoder", low=0.0, below=1.0
  )
  mask: str = field.value(
    "tube",
    "encoder's mask: the same cells at all steps, or random tokens",
    choices=("tube", "random"),
  )
  decoder_ratio: float = field.value(
    0.5,
    "share of positions not decoded; 0: decode what is hidden",
    low=0.0,
    high=0.75,
  )

  def counts(self, grid: Grid) -> tuple[int, int]:
    """(tokens that the encoder sees, positions that are decoded)."""
    t, h, w = grid
    hidden = int(self.mask_ratio * h * w)
    if not self.decoder_ratio:
      return t * (h * w - hidden), t * hidden
    decoded = t * (4 - int(4 * self.decoder_ratio)) * h * w // 4
    return t * (h * w - hidden), decoded

  def check(self, grid: Grid) -> None:
    """Raises ValueError where the decoder's 2x2 cells do not fit the grid."""
    if int(4 * self.decoder_ratio) and (grid[1] % 2 or grid[2] % 2):
      raise ValueError(
        f"decoder_ratio {self.decoder_ratio} with a grid of {grid[1]} x "
        f"{grid[2]}: its cells are 2 x 2"
      )

  def draw(
    self, keys: randomness.Keys, batch: int, grid: Grid
  ) -> dict[str, jax.Array]:
    """hidden and left (not decoded) [b, n] bool."""
    t, h, w = grid
    if self.mask == "tube":
      scores = jax.random.uniform(keys("hidden"), (batch, h * w))
      hidden = tubes.tube(scores, self.mask_ratio, t)
    else:
      scores = jax.random.uniform(keys("hidden"), (batch, t * h * w))
      hidden = masking.from_scores(scores, self.counts(grid)[0]).mask > 0
    if not self.decoder_ratio:
      return {"hidden": hidden, "left": ~hidden}
    phase = jax.random.randint(keys("phase"), (batch,), 0, 4)
    left = tubes.running_cell(phase, self.decoder_ratio, t, (h, w))
    return {"hidden": hidden, "left": left}
