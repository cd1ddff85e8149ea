"""A transformer on the voxels of clouds: whole, or with an encoder of few.

    V, c = voxels of x, places of its points in them      `nn/voxels.py`
    e    = net(patches of V that are kept, t, y), read at c, trilinearly

Letters: b batch, n points.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.masks import occupied
from jmim.nn import grid3d
from jmim.nn import moe
from jmim.nn import sizes
from jmim.nn import voxels
from jmim.nn.nets import voxel_dit


@dataclasses.dataclass(frozen=True, kw_only=True)
class VoxelNetwork:
  """Sizes of the grid, of the blocks and of what makes them fast."""

  size: int = field.value(128, "R, voxels of a side", low=1)
  dims: sizes.Dims = field.part(sizes.Dims, "(encoder) blocks", variant="S/8")
  window: int = field.value(4, "side of a window [patches]", low=1)
  windows: tuple = field.value(
    (), "blocks in windows, by number, of masked=False (DiT-3D: 0, 3, 6 ...)"
  )
  decoder: sizes.Blocks = field.part(
    sizes.Blocks, "decoder", width=384, depth=4, heads=6
  )
  decoder_windows: tuple = field.value(
    (0, 3), "decoder blocks in windows, by number"
  )
  experts: int = field.value(4, "experts of an encoder block; 0: an MLP", low=0)
  chosen: int = field.value(2, "experts of a token", low=1)
  rt: runtime.Runtime = field.runtime()

  @property
  def grid(self) -> grid3d.Grid:
    """(x, y, z) in patches."""
    return (self.size // self.dims.patch,) * 3

  @property
  def patches(self) -> int:
    """Patches of a cloud."""
    return self.grid[0] ** 3

  def check(self, masked: bool, key: str = "network") -> None:
    """Raises ValueError for blocks that cannot be built.

    Args:
      masked: with a decoder and experts.
      key: of this part.
    """
    encoder = self.dims.size
    self.dims.check(self.size, table=False, prefix=f"{key}.dims.")
    kinds = [("dims.", "windows", self.windows, encoder)]
    if masked:
      self.decoder.check(prefix=f"{key}.decoder.", table=False)
      decoder = self.decoder.size()
      kinds += [("decoder.", "decoder_windows", self.decoder_windows, decoder)]
    if masked and self.windows:
      raise ValueError(
        f"{key}.windows={self.windows} with masked=True: windows are of all "
        "tokens, and the encoder sees few; set masked=False, or windows=()"
      )
    if masked and self.experts and self.chosen > self.experts:
      raise ValueError(
        f"{key}.chosen={self.chosen} of {key}.experts={self.experts}"
      )
    for part, name, windows, size in kinds:
      if size.width % 6:
        raise ValueError(
          f"{key}.{part}width {size.width} does not divide by 6 (3-D sin-cos "
          "table; of the sizes L does not)"
        )
      if wrong := [i for i in windows if not 0 <= i < size.depth]:
        raise ValueError(f"{key}.{name}: no block {wrong[0]} of {size.depth}")
      if windows and self.grid[0] % self.window:
        raise ValueError(
          f"{key}.window={self.window} does not divide the {self.grid[0]} "
          f"patches of a side ({key}.size / patch)"
        )

  def net(self, masked: bool, classes: int) -> voxel_dit.VoxelDiT:
    """The network; it predicts three channels."""
    size, more = self.dims.size, {}
    if masked:
      more["decoder"] = self.decoder.size(size.mlp_ratio)
      more["decoder_windows"] = self.decoder_windows
    if masked and self.experts:
      hidden = int(size.mlp_ratio * size.width)
      more["ffn"] = functools.partial(
        moe.MoE, experts=self.experts, chosen=self.chosen, hidden=hidden
      )
    return voxel_dit.VoxelDiT(
      size=size,
      patch=self.dims.patch,
      grid=self.grid,
      classes=classes,
      windows=self.windows,
      side=self.window,
      rt=self.rt,
      **more,
    )

  def init(self, key: jax.Array, masked: bool, classes: int) -> method.Tree:
    """Parameters."""
    volume = jnp.zeros((1, *(self.size,) * 3, 3))
    zero = jnp.zeros(1, jnp.int32)
    return self.net(masked, classes).init(key, volume, zero, zero)["params"]

  def voxelised(self, points: jax.Array) -> voxels.Voxels:
    """Of clouds [b, n, 3]."""
    return voxels.of(self.rt.shard(points), self.size)

  def seen(self, vox: voxels.Voxels, kept: occupied.Kept | None) -> jax.Array:
    """[b, n] float32, 1 where a point's nearest voxel is in a patch kept."""
    if kept is None:
      return jnp.ones(vox.coords.shape[:2])
    patch = grid3d.patch_of(vox.coords, self.dims.patch, self.grid)
    return jnp.take_along_axis(kept.visible, patch, axis=1).astype("float32")
