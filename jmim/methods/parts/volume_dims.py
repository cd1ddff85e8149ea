"""Size of the network for volumes (`nn.nets.em_mamba`), as config section."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn.nets import em_mamba

Shape = em_mamba.Shape
Outputs = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class VolumeDims:
  """Stages of Mamba layers, and what the decoder is made of."""

  widths: tuple = field.value(
    (32, 64, 128, 256), "width per stage; each halves all sides of the volume"
  )
  depths: tuple = field.value((3, 3, 3, 3), "Mamba layers per stage")
  hidden: int = field.value(512, "channels behind the last level", low=1)
  slices: int = field.value(
    5,
    "chunks of the interleaved direction; must divide the tokens of all stages",
    low=1,
  )
  states: int = field.value(16, "states per channel of the scans", low=1)
  side: int = field.value(4, "steps that the causal convolutions see", low=1)
  expand: int = field.value(2, "channels of the scans over the width", low=1)
  rank: int = field.value(
    0,
    "rank of the step sizes of the scans; 0: a sixteenth of the width, rounded "
    "up",
    low=0,
  )
  kernel: int = field.value(
    3, "side of the decoder's kernels in a slice, odd", low=1
  )

  rt: runtime.Runtime = field.runtime()

  def check(self, shape: Shape) -> None:
    """Raises ValueError where no network for such volumes can be built.

    Args:
      shape: [d, h, w] of a volume.
    """
    if not self.widths or len(self.widths) != len(self.depths):
      raise ValueError(
        f"dims.widths={self.widths} and dims.depths={self.depths}: one number "
        "of each per stage"
      )
    if min(*self.widths, *self.depths) < 1:
      raise ValueError(
        f"dims.widths={self.widths} and dims.depths={self.depths} are positive"
      )
    if self.kernel % 2 == 0:
      raise ValueError(f"dims.kernel={self.kernel}, which must be odd")
    em_mamba.check(tuple(shape), len(self.widths), self.slices)

  def network(self, out: int) -> em_mamba.Network:
    """The network with `out` channels of its output."""
    size = em_mamba.Size(
      widths=tuple(self.widths),
      depths=tuple(self.depths),
      slices=self.slices,
      states=self.states,
      side=self.side,
      expand=self.expand,
      rank=self.rank,
    )
    return em_mamba.Network(
      size=size,
      hidden=self.hidden,
      out=out,
      kernel=self.kernel,
      rt=self.rt,
    )

  def outputs(self, net: Any, params: Any, volumes: jax.Array) -> Outputs:
    """What the network makes of volumes.

    Args:
      net: as from `network`.
      params: of it.
      volumes: [b, d, h, w].

    Returns:
      out [b, d, h, w, c] float32; voxels [b, d, h, w, w_0], what the last
      layer reads; features [b, w], the mean of the last level.
    """
    made = net.apply({"params": params}, volumes[..., None])
    last = made[f"level{len(self.widths) - 1}"].astype(jnp.float32)
    return {
      "out": made["out"].astype(jnp.float32),
      "voxels": made["map"],
      "features": last.mean((1, 2, 3)),
    }
