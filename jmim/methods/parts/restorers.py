"""Networks that restore an image in one call, and one of them frozen.

z = clip(f(y), 0, 1)                     y, z in 0 .. 1
"""

import dataclasses
from typing import Any
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.methods.parts import degraded as degrading
from jmim.methods.parts import holes as hole
from jmim.methods.parts import host as hosts
from jmim.nn.nets import conv_stack
from jmim.nn.nets import swinir

KINDS = {
  "conv": conv_stack.Dims,
  "srcnn": conv_stack.SRCNN,
  "swinir": swinir.Dims,
}


def seen(
  shape: tuple[int, int, int], degraded: degrading.Degraded, holes: hole.Holes
) -> tuple[int, int, int]:
  """[h, w, c] of what a restorer is shown, a mask of holes included.

  Args:
    shape: [h, w, c] of what it gives.
    degraded: how images are spoilt.
    holes: missing pixels.
  """
  h, w, c = degraded.low_shape(shape)
  return (h, w, c + holes.channels)


def check(
  net: Any,
  shape: tuple[int, int, int],
  degraded: degrading.Degraded,
  holes: hole.Holes,
) -> None:
  """Raises ValueError for fields that do not go together.

  Args:
    net: one of KINDS.
    shape: see `seen`, as the others.
    degraded: how images are spoilt.
    holes: missing pixels.
  """
  holes.check(degraded.factor)
  net.check(degraded.low_shape(shape)[0], degraded.factor)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frozen:
  """Which network, and where it is."""

  asked: ClassVar[bool] = True  # a run may restore other estimates

  net: Any = field.part(KINDS, "network of the restorer")
  host: hosts.Host = field.part(hosts.Host, "run of the restorer")
  rt: runtime.Runtime = field.runtime()

  @property
  def known(self) -> bool:
    """Whether there is one at all."""
    return bool(self.host.path)

  def check(
    self,
    shape: tuple[int, int, int],
    degraded: degrading.Degraded,
    holes: hole.Holes,
  ) -> None:
    """Raises ValueError for fields that do not go together, see `check`."""
    check(self.net, shape, degraded, holes)

  def consts(
    self,
    shape: tuple[int, int, int],
    degraded: degrading.Degraded,
    holes: hole.Holes,
  ) -> dict[str, method.Const]:
    """restorer: of a run on images in 0 .. 1; nothing without a path.

    Arguments as of `seen`.
    """
    if not self.known:
      return {}
    low, channels = seen(shape, degraded, holes), shape[-1]
    net = self.net.net(channels, degraded.factor, self.rt)
    init = lambda key: net.init(key, jnp.zeros((1, *low)))["params"]
    agrees = {
      f"data.{name}": (f"data.{name} of the restorer", (value,) * channels)
      for name, value in (("mean", 0.0), ("std", 1.0))
    }
    const = self.host.const(init, agrees, key="method.restorer.host")
    return {"restorer": const}

  def estimate(
    self, weights: method.Weights, shown: jax.Array, channels: int, times: int
  ) -> jax.Array:
    """z [b, h, w, channels] in 0 .. 1.

    Args:
      weights: of the method, whose const "restorer" is the network.
      shown: [b, h / times, w / times, c] spoilt images, see `seen`.
      channels: of an image.
      times: side of an image over that of a spoilt one.
    """
    net = self.net.net(channels, times, self.rt)
    made = net.apply({"params": weights.consts["restorer"]}, shown)
    return jnp.clip(made, 0.0, 1.0)
