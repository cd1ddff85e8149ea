"""Convolutions one after the other, as restorers: SRCNN and a deeper stack.

Dong et al. 2014 (SRCNN): sides 9, 1, 5. An input of smaller sides is enlarged
first, bicubically. Images NHWC.
"""

import dataclasses
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import resize


class ConvStack(nn.Module, kw_only=True):
  """Convolutions with ReLUs between them.

  Attributes:
    widths: channels of all but the last.
    sides: of their kernels, odd.
    out: channels of the last.
    residual: the enlarged image is added.
    times: side of the output over that of the input.
    rt: execution choices.
  """

  widths: Sequence[int]
  sides: Sequence[int]
  out: int = 3
  residual: bool = True
  times: int = 1
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> [b, times h, times w, out] float32, not clipped."""
    h, w = x.shape[1:3]
    x = resize.images(x, (self.times * h, self.times * w))
    y = x.astype(self.rt.dtype)
    layers = zip((*self.widths, self.out), self.sides, strict=True)
    for i, (width, side) in enumerate(layers):
      y = nn.relu(y) if i else y
      shape, name = (side, side), f"conv{i}"
      y = nn.Conv(width, shape, dtype=self.rt.dtype, name=name)(y)
      y = self.rt.shard(y)
    y = y.astype(jnp.float32)
    return y + x[..., : self.out] if self.residual else y


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Equal convolutions that correct an image."""

  layers: int = field.value(8, "convolutions", low=2)
  width: int = field.value(32, "channels of all but the last", low=1)

  def net(
    self, out: int, times: int = 1, rt: runtime.Runtime | None = None
  ) -> ConvStack:
    """The network; arguments as of `swinir.Dims.net`."""
    return ConvStack(
      widths=(self.width,) * (self.layers - 1),
      sides=(3,) * self.layers,
      out=out,
      times=times,
      rt=rt or runtime.Runtime(),
    )

  def check(self, side: int, times: int = 1) -> None:
    """Images of any side fit."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SRCNN:
  """Three convolutions that make an image."""

  widths: tuple = field.value((64, 32), "channels of all but the last")
  sides: tuple = field.value((9, 1, 5), "sides of the kernels, odd [pixels]")

  def net(
    self, out: int, times: int = 1, rt: runtime.Runtime | None = None
  ) -> ConvStack:
    """The network; arguments as of `swinir.Dims.net`."""
    return ConvStack(
      widths=self.widths,
      sides=self.sides,
      out=out,
      residual=False,
      times=times,
      rt=rt or runtime.Runtime(),
    )

  def check(self, side: int, times: int = 1) -> None:
    """Raises ValueError unless each convolution has a side; any image fits."""
    del side, times
    if len(self.sides) != len(self.widths) + 1:
      raise ValueError(
        f"net.sides={self.sides} with net.widths={self.widths}: one side more "
        "than widths"
      )
    if any(n % 2 == 0 for n in self.sides):
      raise ValueError(f"net.sides={self.sides}: kernels have odd sides")
