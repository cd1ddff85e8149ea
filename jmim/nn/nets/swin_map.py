"""Swin layers on maps: restorers have them, and UNets in place of attention.

Liang et al. 2021 (SwinIR): LayerNorm of each place, `swin.Layer`. Yue et al.
2023 (zsyOAOA/ResShift@3ce1d81): GroupNorm over the whole map. Where the map of
training is no larger than a window, windows are as large as it, and none is
shifted; this stays so on the larger maps of a restored image. Maps NHWC.
"""

import functools

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import conv
from jmim.nn import mlp
from jmim.nn import posemb
from jmim.nn import spatial
from jmim.nn import stack
from jmim.nn.nets import swin
from jmim.nn.nets import windows

NORMS = ("layer", "group")


class GroupLayer(nn.Module, kw_only=True):
  """x + attention(GN x) in (shifted) windows, then x + MLP(GN x).

  Attributes:
    heads: attention heads.
    side: of a window.
    rolls: whether any call is shifted.
    mlp_ratio: hidden width of the MLP over the width.
    qkv_bias: bias on q, k and v.
    groups: of the norms, whose statistics are those of the whole map.
    mask: of shifted windows, one of `windows.MASKS`.
    rt: execution choices.
  """

  heads: int
  side: int
  rolls: bool = True
  mlp_ratio: float = 4.0
  qkv_bias: bool = True
  groups: int = 32
  mask: str = "last_rows"
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, x: jax.Array, *, shift: jax.Array | int = 0
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, h, w, c] -> the same, and no taps; shift: 0 or side // 2."""
    grid, rt = x.shape[1:3], self.rt
    y = conv.group_norm(rt, self.groups, "norm1", swin.EPS)(x)
    y = windows.cut(windows.roll(y, shift), self.side)
    bias = posemb.RelativeBias(
      heads=self.heads, grid=(self.side,) * 2, std=0.02, name="relative"
    )()
    if self.rolls and self.side // 2:
      bias = bias + windows.shift_bias(
        grid, self.side, shift, batch=len(x), mask=self.mask
      )
    # Not "attn": it is none that sees the whole map (`nn.bank`).
    attend = attention.SelfAttention(
      heads=self.heads, qkv_bias=self.qkv_bias, rt=rt, name="windowed"
    )
    y = windows.join(attend(rt.shard(y), bias=bias)[0], self.side, grid)
    x = rt.shard(x + windows.roll(y, -jnp.asarray(shift)))
    y = conv.group_norm(rt, self.groups, "norm2", swin.EPS)(x)
    hidden = int(x.shape[-1] * self.mlp_ratio)
    return rt.shard(x + mlp.MLP(hidden=hidden, rt=rt, name="mlp")(y)), {}


class Layers(nn.Module, kw_only=True):
  """`depth` Swin layers, every second one in shifted windows.

  Its parameters are a stack, `layers`.

  Attributes:
    depth: number of layers.
    heads: attention heads.
    window: side of a window, at most.
    trained: side of the maps of training; 0: that of the map at hand.
    norm: "layer" of each place, "group" over the map.
    groups: of "group".
    mask: of "group", one of `windows.MASKS`; "layer" has Swin's.
    mlp_ratio: hidden width of the MLPs over the width.
    qkv_bias: bias on q, k and v.
    rt: execution choices.
  """

  depth: int
  heads: int
  window: int
  trained: int = 0
  norm: str = "layer"
  groups: int = 32
  mask: str = "last_rows"
  mlp_ratio: float = 4.0
  qkv_bias: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, drop: jax.Array | None = None) -> jax.Array:
    """[b, h, w, c] -> the same.

    Args:
      x: map whose sides divide by the window's.
      drop: [depth, 2, b] drop-path factors, with "layer" alone; None: none.

    Raises:
      ValueError: an unknown norm, or a map that windows do not fill.
    """
    grid = x.shape[1:3]
    smallest = self.trained or min(grid)
    side = min(smallest, self.window)
    if self.norm not in NORMS:
      raise ValueError(f"norm {self.norm!r} is none of {NORMS}")
    if any(n % side for n in grid):
      raise ValueError(f"a map of {grid} in windows of side {side}")
    rolls = smallest > self.window
    own = {"grid": grid}
    if self.norm == "group":
      own = {"groups": self.groups, "mask": self.mask}
    make = functools.partial(
      swin.Layer if self.norm == "layer" else GroupLayer,
      heads=self.heads,
      side=side,
      rolls=rolls,
      mlp_ratio=self.mlp_ratio,
      qkv_bias=self.qkv_bias,
      rt=self.rt,
      parent=None,
      **own,
    )
    shifts = np.arange(self.depth) % 2 * (side // 2 if rolls else 0)
    per_layer = {"shift": jnp.asarray(shifts)}
    if drop is not None:
      per_layer["drop"] = drop
    blocks = stack.Stack(make, self.depth, self.rt, name="blocks")
    nn.share_scope(self, blocks)
    if self.norm == "group":
      return blocks(x, per_layer=per_layer)[0]
    y = einops.rearrange(x, "b h w c -> b (h w) c")
    y, _ = blocks(y, per_layer=per_layer)
    return einops.rearrange(y, "b (h w) c -> b h w c", h=grid[0])


class SpatialSwin(nn.Module, kw_only=True):
  """1 x 1 in, Swin layers with GroupNorm, 1 x 1 out; no residual around it.

  It stands where `nn.spatial`'s attention does (`unet.Layers.mixer`).

  Attributes:
    width: inside.
    depth: layers.
    window: side of a window, at most.
    trained: side of the UNet's finest map in training.
    heads: attention heads, where `head_width` does not fix their number.
    head_width: channels of a head; 0: `width` in `heads`.
    mlp_ratio: hidden width of the MLPs over the width.
    norm_in: GroupNorm behind the first convolution.
    mask: of shifted windows, one of `windows.MASKS`.
    groups: of the norms.
    factor: the finest map's side over that of this map.
    rt: execution choices.
  """

  width: int
  depth: int
  window: int
  trained: int
  heads: int
  head_width: int = 32
  mlp_ratio: float = 4.0
  norm_in: bool = False
  mask: str = "last_rows"
  groups: int = 32
  factor: int = 1
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, x: jax.Array, context: jax.Array | None = None
  ) -> spatial.Mixed:
    """[b, h, w, c] -> the same, {}; reads no context."""
    del context
    rt, width = self.rt, self.width
    y = nn.Conv(width, (1, 1), dtype=rt.dtype, name="proj_in")(x)
    if self.norm_in:
      y = conv.group_norm(rt, self.groups, "norm", swin.EPS)(y)
    y = Layers(
      depth=self.depth,
      heads=width // self.head_width if self.head_width else self.heads,
      window=self.window,
      trained=self.trained // self.factor,
      norm="group",
      mask=self.mask,
      groups=self.groups,
      mlp_ratio=self.mlp_ratio,
      rt=rt,
      name="swin",
    )(rt.shard(y))
    y = nn.Conv(x.shape[-1], (1, 1), dtype=rt.dtype, name="proj_out")(y)
    return rt.shard(y), {}
