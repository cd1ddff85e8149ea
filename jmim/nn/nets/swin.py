"""Swin transformer (Liu et al. 2021): windowed blocks, patch merging.

Letters: b batch, h w grid, n tokens, c width.
"""

import dataclasses
import functools
import re
from typing import Any

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import runtime
from jmim.nn import block
from jmim.nn import initialise
from jmim.nn import norm as norms
from jmim.nn import patch as patching
from jmim.nn import sizes
from jmim.nn import stack
from jmim.nn.nets import windows

EPS = 1e-5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
  """Width of the first stage, blocks and heads of each, window side."""

  width: int
  depths: tuple[int, ...]
  heads: tuple[int, ...]
  window: int
  mlp_ratio: float = 4.0

  @property
  def blocks(self) -> int:
    """Blocks of all stages."""
    return sum(self.depths)


SIZES = {  # B, L: windows of SimMIM's pre-training at 192 pixels
  "SwinT": Size(width=96, depths=(2, 2, 6, 2), heads=(3, 6, 12, 24), window=7),
  "SwinS": Size(width=96, depths=(2, 2, 18, 2), heads=(3, 6, 12, 24), window=7),
  "SwinB": Size(
    width=128, depths=(2, 2, 18, 2), heads=(4, 8, 16, 32), window=6
  ),
  "SwinL": Size(
    width=192, depths=(2, 2, 18, 2), heads=(6, 12, 24, 48), window=12
  ),
}


def parse(variant: str) -> tuple[Size, int]:
  """Reads "SwinB/4" as (Size, patch side).

  Raises:
    ValueError: not "<size>/<patch>" with a known size.
  """
  match = re.fullmatch(r"(\w+)/(\d+)", variant)
  if not match or match[1] not in SIZES or not int(match[2]):
    raise ValueError(
      f"variant {variant!r} is not '<size>/<patch>' with a size of "
      + ", ".join(SIZES)
    )
  return SIZES[match[1]], int(match[2])


def custom(variant: str, **overrides: Any) -> Size:
  """The size of "SwinB/4" with the overrides that are not 0 or empty."""
  return sizes.override(parse(variant)[0], **overrides)


class Layer(nn.Module, kw_only=True):
  """A pre-norm block inside (shifted) windows.

  All but attention is per token, so the whole block runs on windows.

  Attributes:
    heads: attention heads.
    grid: (h, w) in tokens.
    side: of a window in tokens.
    rolls: whether any call is shifted.
    mlp_ratio: hidden width of the MLP over the width.
    qkv_bias: bias on q, k and v.
    rt: execution choices.
  """

  heads: int
  grid: tuple[int, int]
  side: int
  rolls: bool = True
  mlp_ratio: float = 4.0
  qkv_bias: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    shift: jax.Array | int = 0,
    drop: jax.Array | None = None,
    taps: tuple[str, ...] = (),
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, n, c] -> [b, n, c] and taps: only "block", the output.

    Args:
      x: [b, n, c] in raster order.
      shift: 0 or side // 2, also as a traced number.
      drop: [2, b] drop-path factors.
      taps: "block", or nothing, to return besides the output.
    """
    (h, w), b = self.grid, len(x)
    x = einops.rearrange(x, "b (h w) c -> b h w c", h=h, w=w)
    y, bias = windows.cut(windows.roll(x, shift), self.side), None
    if self.rolls and self.side // 2:
      bias = windows.shift_bias(self.grid, self.side, shift, batch=b)
    if drop is not None:
      drop = jnp.repeat(drop, len(y) // b, axis=1)
    body = block.Block(
      heads=self.heads,
      mlp_ratio=self.mlp_ratio,
      qkv_bias=self.qkv_bias,
      rt=self.rt,
      eps=EPS,
      window=(self.side,) * 2,
      window_std=0.02,
      name="block",
    )
    y, _ = body(self.rt.shard(y), bias=bias, drop=drop)
    x = windows.join(y, self.side, self.grid)
    x = windows.roll(x, -jnp.asarray(shift))
    x = self.rt.shard(einops.rearrange(x, "b h w c -> b (h w) c"))
    return x, {tap: x for tap in taps}


class Merge(nn.Module):
  """Patch merging: 2x2 tokens side by side, LayerNorm, half the channels."""

  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, grid: tuple[int, int]) -> jax.Array:
    """[b, h*w, c] -> [b, h*w/4, 2c]; order (row, column): 00 10 01 11."""
    h, w = grid
    x = einops.rearrange(
      x, "b (h p w q) c -> b (h w) (q p c)", h=h // 2, p=2, w=w // 2, q=2
    )
    x = norms.layer_norm(self.rt, "norm", EPS)(x)
    return nn.Dense(
      x.shape[-1] // 2, use_bias=False, dtype=self.rt.dtype, name="reduction"
    )(x)


class Swin(nn.Module, kw_only=True):
  """Stages of windowed blocks, each but the last halving the grid.

  Attributes:
    size: see `Size`.
    patch: side of a patch in pixels.
    grid: (h, w) in patches.
    patch_norm: LayerNorm after the patch embedding.
    positions: "none" or "learned" (added to the patches).
    maskable: has a learned token that `replaced` patches become.
    qkv_bias: bias on q, k and v.
    rt: execution choices.
  """

  size: Size
  patch: int
  grid: tuple[int, int]
  patch_norm: bool = True
  positions: str = "none"
  maskable: bool = False
  qkv_bias: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  @property
  def prefix(self) -> int:
    """Tokens before the patches: none."""
    return 0

  @property
  def stride(self) -> int:
    """Pixels per output token and axis."""
    return self.patch * 2 ** (len(self.size.depths) - 1)

  @nn.compact
  def __call__(
    self,
    images: jax.Array,
    *,
    replaced: jax.Array | None = None,
    drop: jax.Array | None = None,
    taps: tuple[()] = (),
  ) -> dict[str, jax.Array]:
    """Encodes [b, h*p, w*p, c] images.

    Args:
      images: normalised float images.
      replaced: [b, n], 1 where the mask token stands for the patch.
      drop: [blocks, 2, b] drop-path factors.
      taps: none; see the stages.

    Returns:
      latent: [b, n_out, c_out] after the final norm.
      stage1, stage2, ..: [b, n, c] after each stage and its merging.
    """
    size, dtype, grid = self.size, self.rt.dtype, self.grid
    x = patching.PatchEmbed(
      width=size.width, patch=self.patch, rt=self.rt, name="patch_embed"
    )
    x = x(images)
    if self.patch_norm:
      x = norms.layer_norm(self.rt, "patch_norm", EPS)(x)
    if self.maskable:
      token = self.param(
        "mask_token", initialise.mask_token, (1, 1, size.width)
      )
      if replaced is not None:
        m = replaced[..., None].astype(dtype)
        x = x * (1 - m) + token.astype(dtype) * m
    if self.positions == "learned":
      init = nn.initializers.normal(0.02)
      x = x + self.param("pos_embed", init, (1, *x.shape[1:])).astype(dtype)
    stages, first = {}, 0
    for i, depth in enumerate(size.depths):
      stage_drop = None if drop is None else drop[first : first + depth]
      x = self._stage(i, self.rt.shard(x), grid, stage_drop)
      first += depth
      if i + 1 < len(size.depths):
        x = Merge(self.rt, name=f"merge{i}")(x, grid)
        grid = (grid[0] // 2, grid[1] // 2)
      stages[f"stage{i + 1}"] = x
    return {"latent": norms.layer_norm(self.rt, "norm", EPS)(x), **stages}

  def _stage(self, i, x, grid, drop):
    size, depth = self.size, self.size.depths[i]
    whole = min(grid) <= size.window
    side = min(grid) if whole else size.window
    make = functools.partial(
      Layer,
      heads=size.heads[i],
      grid=grid,
      side=side,
      rolls=not whole,
      mlp_ratio=size.mlp_ratio,
      qkv_bias=self.qkv_bias,
      rt=self.rt,
      parent=None,
    )
    shifts = np.arange(depth) % 2 * (0 if whole else side // 2)
    per_layer = {"shift": jnp.asarray(shifts)}
    if drop is not None:
      per_layer["drop"] = drop
    blocks = stack.Stack(make, depth, self.rt, name=f"stage{i}")
    return blocks(x, per_layer=per_layer)[0]


def check(size: Size, side: int, patch: int) -> None:
  """Raises ValueError where a Swin cannot be built, naming the numbers."""
  grid, stages = side // patch, len(size.depths)
  if side % patch:
    raise ValueError(f"size {side} does not divide by patch {patch}")
  if len(size.heads) != stages:
    raise ValueError(f"{stages} depths and {len(size.heads)} heads")
  for i, heads in enumerate(size.heads):
    if size.width * 2**i % heads:
      raise ValueError(f"width {size.width * 2**i} over {heads} heads")
    if i and grid % 2**i:
      raise ValueError(f"a grid of {grid} cannot be halved {i} times")
    cells = grid // 2**i
    if cells > size.window and cells % size.window:
      raise ValueError(f"a grid of {cells} in windows of window {size.window}")
