"""Windows of tokens and their shifts (Liu et al. 2021).

Letters: b batch, h w grid, s side of a window, c width.
"""

import einops
import jax
import jax.numpy as jnp
import numpy as np

# Added to logits between two regions that the shift put into one window.
BLOCKED = -100.0


def cut(x: jax.Array, side: int) -> jax.Array:
  """[b, h, w, c] -> [b * windows, s*s, c], everything in raster order."""
  return einops.rearrange(
    x, "b (h s) (w r) c -> (b h w) (s r) c", s=side, r=side
  )


def join(x: jax.Array, side: int, grid: tuple[int, int]) -> jax.Array:
  """[b * windows, s*s, c] -> [b, h, w, c]; inverse of `cut`."""
  h, w = (g // side for g in grid)
  return einops.rearrange(
    x, "(b h w) (s r) c -> b (h s) (w r) c", h=h, w=w, s=side, r=side
  )


def roll(x: jax.Array, shift: jax.Array | int) -> jax.Array:
  """[b, h, w, c] moved up and left by `shift` tokens, around the border."""
  return jnp.roll(x, -jnp.stack([shift, shift]), axis=(1, 2))


def shift_mask(grid: tuple[int, int], side: int, shift: int) -> np.ndarray:
  """Bias of the logits that keeps apart what only the roll brought together.

  `roll` puts opposite borders into one window (Swin, figure 4).

  Args:
    grid: (h, w) in tokens.
    side: of a window.
    shift: of the roll.

  Returns:
    [windows, s*s, s*s] float32: BLOCKED, or 0 between tokens of one region.
  """
  region = np.zeros(grid, np.float32)
  cuts = (slice(0, -side), slice(-side, -shift), slice(-shift, None))
  for i, rows in enumerate(cuts):
    for j, cols in enumerate(cuts):
      region[rows, cols] = 3 * i + j
  ids = np.asarray(
    einops.rearrange(region, "(h s) (w r) -> (h w) (s r)", s=side, r=side)
  )
  apart = ids[:, :, None] != ids[:, None, :]
  return np.where(apart, BLOCKED, 0.0).astype(np.float32)


def last_rows_mask(grid: tuple[int, int], side: int, shift: int) -> np.ndarray:
  """The mask that ResShift's weights were trained with; see `shift_mask`.

  Of the released code (zsyOAOA/ResShift@3ce1d81): windows of the last row alone
  are in two regions, their last `shift` columns and the others.
  """
  h, w = (n // side for n in grid)
  late = np.zeros((h, w, side, side), bool)
  late[-1, :, :, side - shift :] = True
  late = late.reshape(h * w, side * side)
  apart = late[:, :, None] != late[:, None, :]
  return np.where(apart, BLOCKED, 0.0).astype(np.float32)


MASKS = {"last_rows": last_rows_mask, "swin": shift_mask}


def shift_bias(
  grid: tuple[int, int],
  side: int,
  shift: jax.Array | int,
  *,
  batch: int,
  mask: str = "swin",
) -> jax.Array:
  """A mask where there is a shift, as attention takes it.

  Args:
    grid: (h, w) in tokens.
    side: of a window.
    shift: 0 or side // 2, also as a traced number.
    batch: b.
    mask: one of MASKS.

  Returns:
    [b * windows, 1, s*s, s*s] for windows as `cut` makes them.
  """
  mask = MASKS[mask](grid, side, side // 2)
  bias = jnp.where(jnp.asarray(shift) > 0, mask, 0.0)[:, None]
  return jnp.tile(bias, (batch, 1, 1, 1))
