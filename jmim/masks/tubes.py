"""Masks of video (VideoMAE, VideoMAE V2): tubes, and cells that run in time.

Letters: b batch, t steps of tubelets, h w grid, n = t h w tokens (t slowest).
"""

import einops
import jax
import jax.numpy as jnp
import numpy as np


def tube(scores: jax.Array, ratio: float, steps: int) -> jax.Array:
  """The same cells hidden at all steps.

  Args:
    scores: [b, h*w], one per cell; the cells with the smallest are hidden.
    ratio: share hidden. int(ratio h w) cells are: the HIDDEN count is rounded
      down.
    steps: t.

  Returns:
    [b, n] bool, True = hidden.
  """
  hidden = int(ratio * scores.shape[1])
  rank = jnp.argsort(jnp.argsort(scores, axis=1), axis=1)
  return jnp.tile(rank < hidden, (1, steps))


def running_cell(
  phase: jax.Array, ratio: float, steps: int, grid: tuple[int, int]
) -> jax.Array:
  """Which tokens the decoder leaves out (VideoMAE V2, section 3.2).

  In 2x2 cells int(4 ratio) of 4 are left out; the pattern q = 1..1 0..0 runs
  through a cell: at step t its k-th place is q[(k + phase + t + 1) mod 4].

  Args:
    phase: [b] int, 0 to 3.
    ratio: share left out.
    steps: t.
    grid: (h, w), both even.

  Returns:
    [b, n] bool, True = not decoded.
  """
  h, w = grid
  q = jnp.arange(4) < int(4 * ratio)
  place = 2 * (np.arange(h)[:, None] % 2) + np.arange(w) % 2
  t = np.arange(steps)[:, None, None]
  turn = phase[:, None, None, None] + place + t + 1
  return einops.rearrange(q[turn % 4], "b t h w -> b (t h w)")
