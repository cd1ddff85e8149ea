"""Rotary positions on rows and columns whose frequencies are learned.

As of DiMR's code (qihao067/DiMR@fa141ae), which has them of k-diffusion's; each
head has its own.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

# Frequencies begin between these, evenly in their logarithms.
TURNS = (np.pi, 5 * np.pi)


def turns(
  key: jax.Array, shape: tuple[int, int], dtype: Any = None
) -> jax.Array:
  """Logarithms of frequencies, evenly between those of TURNS in each head.

  Args:
    key: not used.
    shape: (heads, frequencies of an axis), also of the result.
    dtype: of the result.
  """
  del key
  row = np.linspace(*np.log(TURNS), shape[1])
  return jnp.broadcast_to(jnp.asarray(row, dtype or jnp.float32), shape)


class AxialRotary(nn.Module, kw_only=True):
  """Angles of rotary positions on rows and columns, learned per head.

  Attributes:
    heads: attention heads.
    head: width of one, a multiple of 4.
    grid: (h, w) in tokens; their centres lie in -1 .. 1 on either axis.
  """

  heads: int
  head: int
  grid: tuple[int, int]

  @nn.compact
  def __call__(self) -> jax.Array:
    """[1, heads, h * w, head / 2]: those of the row, then of the column."""
    shape = (self.heads, self.head // 4)
    logs = [self.param(name, turns, shape) for name in ("row", "column")]
    places = [(2 * np.arange(n) + 1) / n - 1 for n in self.grid]
    yx = np.stack(np.meshgrid(*places, indexing="ij")).reshape(2, -1)
    angles = [
      p[None, :, None] * jnp.exp(log)[:, None]
      for p, log in zip(yx.astype(np.float32), logs, strict=True)
    ]
    return jnp.concatenate(angles, axis=-1)[None]
