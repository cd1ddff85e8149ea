"""Maps of features of a frozen network, of images at several sizes.

A level is (side, i): map i, from 1, of images resized to that side.

    vgg                  map i is what follows the i-th pooling, of 1 / 2^i of
                         the side: VGG16, or a run of `supervised.convnet`
    conv, vit, backbone  map i of a run of ours, finest first
                         (`parts/dense_features.py`)

Images are in -1 .. 1, as those of such a run were. DiffMatch reads (512, 2),
(512, 3), (256, 3) and (256, 4) of VGG16.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.methods.parts import dense_features
from jmim.methods.parts import host as hosts
from jmim.nn import resize
from jmim.nn.frozen import lpips

Array = jax.Array
Level = tuple[int, int]
KEY = "method.features"


@dataclasses.dataclass(frozen=True, kw_only=True)
class VGG:
  """Convolutions under torchvision's names, of images in -1 .. 1."""

  variant: str = field.value(
    "vgg16",
    "VGG16, or 'small': the network of `supervised.convnet`",
    choices=("vgg16", "small"),
  )
  width: int = field.value(32, "channels of the first stage of 'small'", low=1)
  lin: bool = field.value(
    False, "the file has LPIPS' weights of channels as well, which are not read"
  )

  @property
  def layers(self) -> tuple[lpips.Layer, ...]:
    """Convolutions, the last of each stage with a tap."""
    small = self.variant == "small"
    return lpips.small(self.width) if small else lpips.VGG16

  @property
  def most(self) -> int:
    """Maps that it can give."""
    return sum(layer.tap for layer in self.layers)

  def check(self, side: int) -> None:
    """Raises ValueError for images of which a map would have no pixel."""
    if side < 2**self.most:
      raise ValueError(
        f"images of side {side} for {self.most} poolings of features.net: at "
        f"least {2**self.most}"
      )

  def init(self, key: Array, side: int) -> method.Tree:
    """Arrays by torchvision's names."""
    del side
    return lpips.random(key, self.layers, lin=self.lin)

  def maps(self, params: method.Tree, images: Array, last: int) -> list[Array]:
    """The last so many maps, finest first, [b, h, w, c] each."""
    x = lpips.normalise(images.astype(jnp.float32))
    taps = lpips.features(self.layers, params, x)
    return [lpips.pooled(tap) for tap in taps[-last:]]


KINDS = {
  "vgg": VGG,
  "conv": dense_features.Convolutions,
  "vit": dense_features.Plain,
  "backbone": dense_features.Stages,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pyramid:
  """Which network, and where it is."""

  net: Any = field.part(KINDS, "network whose maps are read")
  host: hosts.Host = field.part(
    hosts.Host, "weights of the features: a run, or an .npz"
  )
  rt: runtime.Runtime = field.runtime()

  def __post_init__(self):
    """Hands the runtime on."""
    if hasattr(self.net, "rt"):
      net = dataclasses.replace(self.net, rt=self.rt)
      object.__setattr__(self, "net", net)

  def check(self, levels: Sequence[Level], key: str) -> None:
    """Raises ValueError for levels that the network has not.

    Args:
      levels: those that are read.
      key: of them, for messages.
    """
    if not levels or any(len(level) != 2 for level in levels):
      raise ValueError(
        f"{key}={levels}: pairs of a side and the number of a map"
      )
    for side, i in levels:
      if not 1 <= i <= self.net.most:
        raise ValueError(
          f"{key}={levels}: features.net has maps 1 to {self.net.most}"
        )
      self.net.check(side)

  def const(self, side: int) -> method.Const:
    """The network, on images of that side."""
    return self.host.const(
      lambda key: self.net.init(key, side), key=f"{KEY}.host"
    )

  def channels(self, level: Sequence[int], side: int) -> int:
    """Of a level, on images of that side; of none: 0."""
    if not level:
      return 0

    def look(key):
      images = jnp.zeros((1, side, side, 3))
      return self.maps(self.net.init(key, side), images, (level,), 2)[0]

    return jax.eval_shape(look, jax.random.key(0)).shape[-1]

  def maps(
    self, params: method.Tree, images: Array, levels: Sequence[Level], grid: int
  ) -> list[Array]:
    """Levels on one grid, float32 [..., grid, grid, c] each.

    Corners of maps lie on corners of the grid.

    Args:
      params: of the network.
      images: [..., h, w, c].
      levels: those that are read.
      grid: side in cells.
    """
    lead, flat = images.shape[:-3], images.reshape(-1, *images.shape[-3:])
    found = {}
    for side in dict(levels):
      kind = "area" if flat.shape[1] > side else "bilinear"
      x = resize.images(flat, (side, side), kind)
      least = min(i for s, i in levels if s == side)
      last = self.net.most - least + 1
      made = self.net.maps(params, x, last)
      found |= {(side, least + k): m for k, m in enumerate(made)}
    wide = [found[tuple(level)].astype(jnp.float32) for level in levels]
    even = [resize.images(m, (grid, grid), "corners") for m in wide]
    return [m.reshape(*lead, *m.shape[1:]) for m in even]
