"""A small U-Net of blocks in space and frequency (Zheng et al. 2023, CUE).

    extract 1 x 1, conv, block, down, block, down, block,
    up, join, block, up, join, block, conv, + extract, 1 x 1

The paper has three levels, of widths n, 2 n and 3 n. Up is a bilinear resize,
and a 1 x 1 convolution of [resized, skipped]. A block is two of `fourier.Fuse`:
of kernels, then of channels.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import fourier
from jmim.nn import resize


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Width and levels."""

  width: int = field.value(8, "channels at full resolution, even", low=2)
  levels: int = field.value(3, "resolutions, each half of the last", low=1)

  def net(self, out: int, rt: runtime.Runtime) -> "FuseNet":
    """The network with so many output channels."""
    return FuseNet(dims=self, out=out, rt=rt)


class FuseNet(nn.Module, kw_only=True):
  """Image to image.

  Attributes:
    dims: width n and levels.
    out: output channels.
    rt: execution choices.
  """

  dims: Dims
  out: int = 3
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> [b, h, w, out] float32."""
    n, levels, rt = self.dims.width, self.dims.levels, self.rt
    kind = {"kernel_init": conv.TORCH}
    first = conv.conv1(rt, n, "extract")(x)
    y = conv.conv3(rt, n, "conv_in", **kind)(first)
    skips = [y := self._block(y, "block0")]
    for i in range(1, levels):
      y = conv.down2(rt, (i + 1) * n, f"down{i - 1}")(y)
      skips.append(y := self._block(y, f"block{i}"))
    for i, skip in enumerate(skips[-2::-1]):
      y = self._joined(y, skip, f"up{i}")
      y = self._block(y, f"block{levels + i}")
    y = first + conv.conv3(rt, n, "conv_out", **kind)(y)
    return conv.conv1(rt, self.out, "reconstruct")(y).astype(jnp.float32)

  def _block(self, x: jax.Array, name: str) -> jax.Array:
    """[b, h, w, c] -> the same."""
    for side, kind in ((3, "spatial"), (1, "channel")):
      x = fourier.Fuse(
        width=x.shape[-1], side=side, rt=self.rt, name=f"{name}_{kind}"
      )(x)
    return x

  def _joined(self, x: jax.Array, skip: jax.Array, name: str) -> jax.Array:
    """[b, h, w, c] as large as `skip`, [b, H, W, d] -> [b, H, W, d]."""
    x = resize.images(x, skip.shape[1:3], "bilinear")
    both = jnp.concatenate([x, skip], axis=-1)
    return conv.conv1(self.rt, skip.shape[-1], name)(both)
