"""Image to one vector: convolutions that halve, attention after one of them.

Zhang et al. 2022 (PDAE, ckczzj/PDAE): the first convolution alone, all others
behind GN and SiLU; what is left is flattened, channels first, as torch does.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import spatial


class CodeEncoder(nn.Module, kw_only=True):
  """One vector per image.

  Attributes:
    width: numbers of the vector.
    widths: channels of each convolution; each halves the side.
    attend: attention follows that convolution, counted from 1; 0: none.
    heads: of the attention.
    groups: of the norms.
    rt: execution choices.
  """

  width: int
  widths: Sequence[int]
  attend: int = 2
  heads: int = 4
  groups: int = 32
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> [b, width] float32; the sides divide by 2^n."""
    rt, y = self.rt, x.astype(self.rt.dtype)
    for n, width in enumerate(self.widths, 1):
      if n > 1:
        y = nn.silu(conv.group_norm(rt, self.groups, f"norm{n - 1}")(y))
      y = conv.conv3(rt, width, f"conv{n}", 2)(y)
      if n == self.attend:
        y, _ = spatial.SpatialAttention(
          heads=self.heads, groups=self.groups, rt=rt, name="attention"
        )(y)
    y = nn.silu(conv.group_norm(rt, self.groups, f"norm{n}")(y))
    y = einops.rearrange(y, "b h w c -> b (c h w)")
    y = nn.Dense(self.width, dtype=rt.dtype, name="out")(y)
    return y.astype(jnp.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Widths and attention of an encoder, as a method's config has them."""

  widths: tuple = field.value(
    (64, 128, 128, 128), "channels of the convolutions, each of stride 2"
  )
  attend: int = field.value(
    2, "attention follows that convolution, from 1; 0: none", low=0
  )
  heads: int = field.value(4, "heads of that attention", low=1)
  norm_groups: int = field.value(32, "groups of the norms", low=1)

  def net(self, **options: Any) -> CodeEncoder:
    """The network; `options`: the other fields of `CodeEncoder`."""
    return CodeEncoder(
      widths=self.widths,
      attend=self.attend,
      heads=self.heads,
      groups=self.norm_groups,
      **options,
    )

  def check(self, side: int) -> None:
    """Raises ValueError unless it can be built for images of that side."""
    if not self.widths or side % 2 ** len(self.widths):
      raise ValueError(
        f"image side (size) {side} cannot be halved {len(self.widths)} times "
        "(encoder.widths)"
      )
    if self.attend > len(self.widths):
      raise ValueError(
        f"encoder.attend={self.attend} of {len(self.widths)} convolutions"
      )
    for width in self.widths:
      if width % self.norm_groups:
        raise ValueError(
          f"encoder.widths: {width} does not divide by {self.norm_groups} "
          "norm_groups"
        )
    if self.attend and self.widths[self.attend - 1] % self.heads:
      raise ValueError(
        f"encoder.widths: {self.widths[self.attend - 1]} does not divide by "
        f"{self.heads} heads"
      )
