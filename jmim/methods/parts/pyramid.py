"""Maps of features of a frozen network, of images at several sizes.

A level is (side, i): map i, from 1, of images resized to that side.

    vgg                  map i is what follows the i-th pooling, of 1 / 2^i of
                         the side: VGG16, or a run of `supervised.convnet`
    conv, backbone       level or stage i of a run of ours, finest first
    vit                  what follows block i, the last behind its final norm
                         (`parts/dense_features.py`)

Images are in -1 .. 1 here; a run sees them with its own mean and deviation.
DiffMatch reads (512, 2), (512, 3), (256, 3) and (256, 4) of VGG16.
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
from jmim.nn import sizes
from jmim.nn.frozen import lpips

Array = jax.Array
Level = tuple[int, int]
KEY = "method.features"
HALF = (0.5, 0.5, 0.5)


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
  mean: tuple = field.value(
    HALF, "mean per channel that its images were normalised with, in 0 .. 1"
  )
  std: tuple = field.value(HALF, "standard deviation of that normalisation")
  rt: runtime.Runtime = field.runtime()

  def __post_init__(self):
    """Hands the runtime on."""
    if hasattr(self.net, "rt"):
      net = dataclasses.replace(self.net, rt=self.rt)
      object.__setattr__(self, "net", net)

  def check(self, levels: Sequence[Level], key: str) -> None:
    """Raises ValueError for levels or a normalisation that there are not.

    Args:
      levels: those that are read.
      key: of them, for messages.
    """
    if not levels or any(len(level) != 2 for level in levels):
      raise ValueError(
        f"{key}={levels}: pairs of a side and the number of a map"
      )
    if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
      raise ValueError(
        f"features.mean={self.mean}, features.std={self.std}: of three "
        "channels each, the latter above 0"
      )
    for side, i in levels:
      if not 1 <= i <= self.net.most:
        raise ValueError(
          f"{key}={levels}: features.net has maps 1 to {self.net.most}"
        )
      self.net.check(side)

  def const(self, side: int) -> method.Const:
    """The network, on images of that side; a run's had this normalisation."""
    own = {"mean": self.mean, "std": self.std}
    agrees = {f"data.{n}": (f"{KEY}.{n}", tuple(x)) for n, x in own.items()}
    if isinstance(self.net, dense_features.Plain):  # others show their heads
      agrees |= self.net.dims.agrees(f"{KEY}.net.dims")
    init = lambda key: self.net.init(key, side)
    more = dict(key=f"{KEY}.host", implied=sizes.heads)
    return self.host.const(init, agrees, **more)

  def agrees(self) -> dict[str, tuple[str, Any]]:
    """What a frozen model of these features agrees in, see `method.Const`.

    Where a run lies is no matter if a hash says which one is meant.
    """
    names = ("sha256", "weights") + (() if self.host.sha256 else ("path",))
    own = {f"host.{n}": getattr(self.host, n) for n in names}
    own |= {"mean": tuple(self.mean), "std": tuple(self.std)}
    return {f"features.{n}": (f"{KEY}.{n}", x) for n, x in own.items()}

  def channels(self, level: Sequence[int], side: int) -> int:
    """Of a level, on images of that side; of none: 0."""
    if not level:
      return 0

    def look(key):
      images = jnp.zeros((1, side, side, 3))
      return self.maps(self.net.init(key, side), images, (level,), 2)[0]

    return jax.eval_shape(look, jax.random.key(0)).shape[-1]

  def normalised(self, images: Array) -> Array:
    """Images [..., 3] of -1 .. 1 as the network was trained on them."""
    if tuple(self.mean) == tuple(self.std) == HALF:
      return images
    mean, std = jnp.asarray(self.mean), jnp.asarray(self.std)
    return ((images + 1) / 2 - mean) / std

  def maps(
    self, params: method.Tree, images: Array, levels: Sequence[Level], grid: int
  ) -> list[Array]:
    """Levels on one grid, float32 [..., grid, grid, c] each.

    Corners of maps lie on corners of the grid.

    Args:
      params: of the network.
      images: [..., h, w, 3] in -1 .. 1.
      levels: those that are read.
      grid: side in cells.
    """
    lead = images.shape[:-3]
    flat = self.normalised(images.reshape(-1, *images.shape[-3:]))
    found = {}
    for side in dict(levels):
      kind = "area" if flat.shape[1] > side else "bilinear"
      x = resize.images(flat, (side, side), kind)
      # All of them: of fewer, a ViT gives others (parts of its depth).
      made = self.net.maps(params, x, self.net.most)
      found |= {(side, i): m for i, m in enumerate(made, start=1)}
    wide = [found[tuple(level)].astype(jnp.float32) for level in levels]
    even = [resize.images(m, (grid, grid), "corners") for m in wide]
    return [m.reshape(*lead, *m.shape[1:]) for m in even]
