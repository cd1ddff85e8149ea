"""Structure maps: one number per region of an image, from its place and area.

Wang et al. 2024 (lose4578/SAM-DiffSR@a18eaf6). With f_i = 10000^(-2 i / w),

    P[p, 2i] = cos(p f_i) - sin(p f_i)         p: row, 2i and 2i + 1: columns
    P[p, 2i + 1] = cos(p f_i) + sin(p f_i)
    v_k = sum over region k of P / (h w)       the whole image: area counts
    E = v_k in region k; where several overlap, the last; in none: 0

P is what rotary positions make of an image of ones, its rows as a sequence.
"""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np


def positions(height: int, width: int) -> np.ndarray:
  """P [h, w] float32; of an odd width the last column is 1, not turned."""
  half = width // 2
  # Frequencies and angles in float32, as there; float64 differs by 1e-5.
  power = 2 * np.arange(half, dtype=np.float32) / np.float32(width)
  frequency = np.float32(1) / np.float32(10000.0) ** power
  angle = np.arange(height, dtype=np.float32)[:, None] * frequency
  cos, sin = np.cos(angle), np.sin(angle)
  pairs = np.stack([cos - sin, cos + sin], axis=-1).reshape(height, 2 * half)
  return np.pad(pairs, ((0, 0), (0, width % 2)), constant_values=1.0)


def of_masks(masks: Iterable[np.ndarray], sides: tuple[int, int]) -> np.ndarray:
  """E [h, w] float32 of masks [h, w], 0 or not, one by one on the host.

  Args:
    masks: in their order.
    sides: (h, w) of the image.
  """
  table = positions(*sides).astype(np.float64)
  found = np.zeros(sides, np.float32)
  for mask in masks:
    inside = np.asarray(mask) != 0
    found[inside] = table[inside].sum() / table.size
  return found


def of_labels(ids: np.ndarray) -> np.ndarray:
  """E [h, w] float32 of the region [h, w] of each pixel; 0: in none.

  `of_ids` for one image on the host, of any number of regions.
  """
  table = positions(*ids.shape).astype(np.float64)
  total = np.bincount(ids.ravel(), table.ravel()) / table.size
  total[0] = 0.0
  return total[ids].astype(np.float32)


def of_ids(ids: jax.Array, regions: int) -> jax.Array:
  """E [b, h, w] float32 of the region that each pixel is in.

  Args:
    ids: [b, h, w] ints; 0: in none; those above `regions` count as none, too.
    regions: the greatest id.
  """
  inside = jax.nn.one_hot(ids - 1, regions, dtype=jnp.float32)
  table = positions(*ids.shape[1:])
  total = jnp.einsum("bhwk,hw->bk", inside, table, precision="highest")
  value = total / table.size
  return jnp.einsum("bhwk,bk->bhw", inside, value, precision="highest")
