"""Grids of three dimensions: patches, positions, windows.

Letters: b batch, x y z grid, p side of a patch, s side of a window, n tokens,
c channels, w width. The last axis, z, is the fastest.
"""

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import dense
from jmim.nn import posemb
from jmim.nn import qkv

Grid = tuple[int, int, int]


def patchify(volume: jax.Array, patch: int) -> jax.Array:
  """[b, x*p, y*p, z*p, c] -> [b, x*y*z, p*p*p*c], the channel fastest.

  Raises:
    ValueError: if the sides are not multiples of `patch`.
  """
  if any(side % patch for side in volume.shape[1:4]):
    raise ValueError(f"{volume.shape} does not split into cubes of {patch}")
  return einops.rearrange(
    volume,
    "b (x p) (y q) (z r) c -> b (x y z) (p q r c)",
    p=patch,
    q=patch,
    r=patch,
  )


def unpatchify(patches: jax.Array, patch: int, grid: Grid) -> jax.Array:
  """[b, x*y*z, p*p*p*c] -> [b, x*p, y*p, z*p, c]; inverse of `patchify`."""
  x, y, z = grid
  return einops.rearrange(
    patches,
    "b (x y z) (p q r c) -> b (x p) (y q) (z r) c",
    x=x,
    y=y,
    z=z,
    p=patch,
    q=patch,
    r=patch,
  )


def patch_of(coords: jax.Array, patch: int, grid: Grid) -> jax.Array:
  """[b, n] tokens that the voxels nearest to coordinates [b, n, 3] are in."""
  x, y, z = jnp.moveaxis(jnp.round(coords).astype(jnp.int32) // patch, -1, 0)
  return (x * grid[1] + y) * grid[2] + z


def sincos(width: int, grid: Grid) -> np.ndarray:
  """Fixed table [x*y*z, width] float32 of positions (DiT-3D).

  Args:
    width: a multiple of 6; the thirds are `posemb.sincos_1d` of x, y and z.
    grid: (x, y, z) in patches.

  Raises:
    ValueError: a width that is no multiple of 6.
  """
  if width % 6:
    raise ValueError(f"3-D sin-cos width must divide by 6, got {width}")
  thirds = [posemb.sincos_1d(place, width // 3) for place in np.indices(grid)]
  return np.concatenate(thirds, axis=1).astype(np.float32)


def cut(tokens: jax.Array, grid: Grid, side: int) -> jax.Array:
  """[b, x*y*z, w] -> [b*windows, s*s*s, w], both in raster order.

  Raises:
    ValueError: windows that do not tile the grid.
  """
  check(grid, side)
  x, y, z = (g // side for g in grid)
  return einops.rearrange(
    tokens,
    "b (x s y t z u) w -> (b x y z) (s t u) w",
    x=x,
    y=y,
    z=z,
    s=side,
    t=side,
    u=side,
  )


def join(windows: jax.Array, grid: Grid, side: int) -> jax.Array:
  """[b*windows, s*s*s, w] -> [b, x*y*z, w]; inverse of `cut`."""
  x, y, z = (g // side for g in grid)
  return einops.rearrange(
    windows,
    "(b x y z) (s t u) w -> b (x s y t z u) w",
    x=x,
    y=y,
    z=z,
    s=side,
    t=side,
    u=side,
  )


def check(grid: Grid, side: int) -> None:
  """Raises ValueError for windows that do not tile the grid."""
  if side < 1 or any(g % side for g in grid):
    raise ValueError(f"windows of side {side} do not tile a grid of {grid}")


def relative(q: jax.Array, tables: list[jax.Array], side: int) -> jax.Array:
  """Logits of relative positions, a term per axis (Li et al. 2022, MViT v2).

  sum_a q_i . table_a[i_a - j_a + s - 1], of places i and j in a window.

  Args:
    q: [b, h, s*s*s, d] queries, not scaled.
    tables: of x, y and z, each [2 s - 1, d].
    side: s.

  Returns:
    [b, h, s*s*s, s*s*s], to be added to the logits.
  """
  place = np.indices((side,) * 3).reshape(3, -1)
  total = 0.0
  for at, table in zip(place, tables, strict=True):
    # [s, s, d] rows by the places of query and key on this axis.
    away = np.arange(side)[:, None] - np.arange(side)[None] + side - 1
    by_key = jnp.einsum("bhtd,tkd->bhtk", q, table[away][at].astype(q.dtype))
    total = total + by_key[..., at]
  return total


class WindowAttention(nn.Module, kw_only=True):
  """Self-attention inside the windows of a grid, with relative positions.

  Attributes:
    heads: attention heads.
    grid: (x, y, z) in tokens.
    side: s, of a window in tokens.
    rt: execution choices.
  """

  heads: int
  grid: Grid
  side: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, x: jax.Array, taps: tuple[str, ...] = ()
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, n, w] in raster order -> [b, n, w] and the taps asked for.

    Args:
      x: all tokens of the grid.
      taps: "attention", [b*windows, h, s^3, s^3] float32 probabilities.
    """
    width = x.shape[-1]
    tokens = self.rt.shard(cut(x, self.grid, self.side))
    xavier = nn.initializers.xavier_uniform()
    how = dict(heads=self.heads, use_bias=True, kernel_init=xavier, rt=self.rt)
    q, k, v = qkv.Qkv(**how, name="qkv")(tokens)
    shape = (2 * self.side - 1, width // self.heads)
    tables = [
      self.param(f"relative_{axis}", nn.initializers.zeros_init(), shape)
      for axis in "xyz"
    ]
    bias = relative(q, tables, self.side)
    y = attention.Attend(rt=self.rt, name="attend")(q, k, v, bias=bias)
    y = einops.rearrange(y, "b h t d -> b t (h d)")
    y = dense.dense(self.rt, width, kernel_init=xavier, name="proj")(y)
    found = {}
    if "attention" in taps:
      found["attention"] = attention.probabilities(q, k, bias)
    return self.rt.shard(join(y, self.grid, self.side)), found
