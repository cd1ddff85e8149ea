"""Maps of features of an image, of any network here, brought to one grid.

    conv      levels of a convolutional encoder
    vit       parts of the depth of a plain ViT, as MAE trains it
    backbone  stages of a Swin, or parts of a ViT of SimMIM's kind

A run of another method that has such a network is a start (`init_from`): its
parameters are below main/net here.
"""

import dataclasses

import einops
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.methods.parts import backbone as backbones
from jmim.nn import resize
from jmim.nn import sizes
from jmim.nn.nets import encoder_decoder
from jmim.nn.nets import swin
from jmim.nn.nets import vit

Array = jax.Array


def gathered(maps: list[Array], grid: tuple[int, int]) -> list[Array]:
  """Maps [b, h, w, c] as float32 [b, *grid, c], means or between places."""
  fit = lambda m: "area" if m.shape[1] > grid[0] else "bilinear"
  wide = [m.astype(jnp.float32) for m in maps]
  return [resize.images(m, grid, fit(m)) for m in wide]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Convolutions:
  """A small encoder, trained from the start."""

  dims: encoder_decoder.Dims = field.part(
    encoder_decoder.Dims, "levels of the encoder"
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def most(self) -> int:
    """Maps that it can give."""
    return len(self.dims.multipliers)

  def check(self, side: int) -> None:
    """Raises ValueError unless it can be built on images of that side."""
    self.dims.check(side)

  def init(self, key: Array, side: int) -> method.Tree:
    """Parameters, on images of that side."""
    net = self.dims.net(0, self.rt)
    return net.init(key, jnp.zeros((1, side, side, 3)))["params"]

  def maps(self, params: method.Tree, images: Array, last: int) -> list[Array]:
    """The last so many levels, finest first, [b, h, w, c] each."""
    net = self.dims.net(0, self.rt)
    return net.apply({"params": params}, images)[1][-last:]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plain:
  """A ViT with a class token and fixed positions."""

  dims: sizes.Dims = field.part(sizes.Dims, "size and patch")
  rt: runtime.Runtime = field.runtime()

  @property
  def most(self) -> int:
    """Maps that it can give."""
    return self.dims.size.blocks

  def check(self, side: int) -> None:
    """Raises ValueError unless it can be built on images of that side."""
    self.dims.check(side)

  def init(self, key: Array, side: int) -> method.Tree:
    """Parameters, on images of that side."""
    return _init(vit.build(self.dims, side, rt=self.rt), key, side)

  def maps(self, params: method.Tree, images: Array, last: int) -> list[Array]:
    """Tokens [b, h, w, c] at the end of so many parts of the depth."""
    net = vit.build(self.dims, images.shape[1], rt=self.rt)
    return _tokens(net, params, images, last=last)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stages:
  """A Swin, or a ViT with LayerScale and relative positions."""

  backbone: backbones.Backbone = field.part(
    backbones.Backbone, "network, by its variant"
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def most(self) -> int:
    """Maps that it can give."""
    size = self.backbone.size
    return len(size.depths) if self.backbone.windowed else size.blocks

  def check(self, side: int) -> None:
    """Raises ValueError unless it can be built on images of that side."""
    self.backbone.check(side)

  def _net(self, side: int) -> vit.ViT | swin.Swin:
    own = dataclasses.replace(self.backbone, rt=self.rt)
    return own.net(side).clone(maskable=False)

  def init(self, key: Array, side: int) -> method.Tree:
    """Parameters, on images of that side."""
    return _init(self._net(side), key, side)

  def maps(self, params: method.Tree, images: Array, last: int) -> list[Array]:
    """[b, h, w, c] of the last so many stages, or as `Plain`."""
    net = self._net(images.shape[1])
    return _tokens(net, params, images, last=last)


def _init(net: vit.ViT | swin.Swin, key: Array, side: int) -> method.Tree:
  return net.init(key, jnp.zeros((1, side, side, 3)))["params"]


def _tokens(
  net: vit.ViT | swin.Swin, params: method.Tree, images: Array, last: int
) -> list[Array]:
  """Maps of a transformer, the last of them behind its final norm."""
  if isinstance(net, swin.Swin):
    out = net.apply({"params": params}, images)
    stages = [out[f"stage{i + 1}"] for i in range(len(net.size.depths))]
    found = [*stages[-last:-1], out["latent"]]
  else:
    out = net.apply({"params": params}, images, taps=("block",))
    depth = len(out["block"])
    ends = [depth * (i + 1) // last - 1 for i in range(last - 1)]
    found = [*(out["block"][i] for i in ends), out["latent"]]
    found = [x[:, net.prefix :] for x in found]
  side = lambda x: round(x.shape[1] ** 0.5)
  return [einops.rearrange(x, "b (h w) c -> b h w c", h=side(x)) for x in found]
