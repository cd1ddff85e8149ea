"""A frozen network that compares images, beside a loss of pixels.

LPIPS with VGG16 (Zhang et al. 2018), or a small network of ours for where there
are no weights to be had.
"""

import dataclasses

import jax

from jmim.core import field
from jmim.core import method
from jmim.nn.frozen import lpips

NAME = "perceptual"  # of the frozen network
# What it is shown is in -1 .. 1, in whatever units the method's images are: of
# a run that it comes from the data must have been so, too.
SHOWN = {
  f"data.{name}": (f"data.{name} of the perceptual network", (0.5,) * 3)
  for name in ("mean", "std")
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Perceptual:
  """Distance of images by the features of a frozen network."""

  network: str = field.value(
    "none", "network that compares images", choices=("none", "vgg", "small")
  )
  path: str = field.value("", "weights of the network: .npz, or a run")
  sha256: str = field.value("", "hash of that file; empty: any")
  weight: float = field.value(1.0, "weight of the distance", low=0.0)
  width: int = field.value(32, "channels of `small`", low=1)

  @property
  def layers(self) -> tuple[lpips.Layer, ...]:
    """Of the network; () without one."""
    small = lpips.small(self.width)
    return {"none": (), "vgg": lpips.VGG16, "small": small}[self.network]

  def consts(self, key: str) -> dict[str, method.Const]:
    """The network; `vgg` has learned layer weights as well.

    Args:
      key: of the config that says the path.
    """
    if not self.layers:
      return {}
    lin = self.network == "vgg"
    init = lambda k: lpips.random(k, self.layers, lin=lin)
    sha256 = self.sha256 or None
    const = method.Const(self.path, init, sha256, agrees=SHOWN, key=key)
    return {NAME: const}

  def of_views(
    self,
    consts: method.Tree,
    rgb: jax.Array,
    target: jax.Array,
    sides: tuple[int, int],
  ) -> jax.Array:
    """Mean over images whose pixels are the first of [b, r, 3] in 0 .. 1.

    Args:
      consts: with the network.
      rgb: colours of rays.
      target: what they should be.
      sides: (h, w) of an image.
    """
    h, w = sides
    views = (2 * x[:, : h * w] - 1 for x in (rgb, target))
    views = (x.reshape(-1, h, w, 3) for x in views)
    return self.distance(consts, *views).mean()

  def distance(
    self, consts: method.Tree, a: jax.Array, b: jax.Array
  ) -> jax.Array:
    """[b] between images [b, h, w, 3] in -1 .. 1.

    Args:
      consts: with the network.
      a: images.
      b: images.
    """
    return lpips.distance(self.layers, consts[NAME], a, b)
