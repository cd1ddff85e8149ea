"""A small image: what a frozen network sees in it, and what it lacks.

    u   = y enlarged (MATLAB's bicubic)              y: the small image
    x_0 = clip(scale (x - u), -1, 1)                 x: the image it is of
    x   = clip(x_0, -1, 1) / scale + u               and back

(clip=False: as they are, both ways.) The network is an RRDB, trained before;
its maps are every third output of its blocks and of what comes behind them (Li
et al. 2022, SRDiff).
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.methods.parts import host as hosts
from jmim.nn import resize
from jmim.nn.nets import rrdb
from jmim.nn.nets import srdiff

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class SmallImage:
  """Which network, where it is, and the scale of what is lacking."""

  dims: rrdb.Dims = field.part(rrdb.Dims, "frozen RRDB")
  path: str = field.value("", "trained RRDB: a run, or an .npz of its arrays")
  sha256: str = field.value("", "hash of the RRDB's .npz; empty: any")
  scale: float = field.value(2.0, "factor of the residual", above=0.0)
  clip: bool = field.value(True, "residuals are cut to -1 .. 1, both ways")
  rt: runtime.Runtime = field.runtime()

  def check(self, factor: int) -> None:
    """Raises ValueError unless the RRDB can be of that factor."""
    rrdb.check(factor)

  def net(self, factor: int, channels: int) -> rrdb.RRDB:
    """The RRDB of images whose side grows by a factor."""
    return self.dims.net(factor, channels, self.rt)

  def consts(
    self, factor: int, shape: tuple[int, int, int]
  ) -> dict[str, method.Const]:
    """The RRDB, of a run for the same factor.

    Args:
      factor: by which the side grows.
      shape: [h, w, c] of large images.
    """
    h, w, c = shape
    net = self.net(factor, c)
    zeros = jnp.zeros((1, h // factor, w // factor, c))
    const = method.Const(
      self.path,
      hosts.shaken(lambda key: net.init(key, zeros)["params"]),
      self.sha256 or None,
      agrees={"degraded.factor": ("method.degraded.factor", factor)},
      key="method.small.path",
    )
    return {"rrdb": const}

  def seen(self, weights: method.Weights, small: Array, factor: int) -> Array:
    """Maps [b, h, w, d] of small images [b, h, w, c]."""
    net, params = self.net(factor, small.shape[-1]), weights.consts["rrdb"]
    return srdiff.read(net.apply({"params": params}, small)[1])

  @property
  def depth(self) -> int:
    """d, channels of what is seen."""
    return (self.dims.blocks + 1) // srdiff.EVERY * self.dims.width

  def enlarged(self, small: Array, factor: int) -> Array:
    """u [b, factor h, factor w, c]."""
    sides = tuple(factor * n for n in small.shape[1:3])
    return resize.images(small, sides, "matlab")

  def residual(self, image: Array, enlarged: Array) -> Array:
    """x_0 of images and of the small ones, enlarged, all [b, h, w, c]."""
    return self._clipped(self.scale * (image - enlarged))

  def completed(self, x: Array, enlarged: Array) -> Array:
    """Images of residuals x, all [b, h, w, c]."""
    return self._clipped(x) / self.scale + enlarged

  def _clipped(self, x):
    return jnp.clip(x, -1, 1) if self.clip else x
