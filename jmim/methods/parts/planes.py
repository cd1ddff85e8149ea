"""A field of planes and lines that a transformer writes of an image.

Jang and Agapito 2024 (NViST); Chen et al. 2022 (TensoRF). Letters: b batch, n
patches of the image, w width, R resolution, c channels.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.nn import sizes
from jmim.nn.nets import nvist
from jmim.nn.nets import vit

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Planes:
  """What a decoder writes, and how it is told an image and a camera."""

  resolution: int = field.value(48, "cells along each side of a plane", low=1)
  patch: int = field.value(3, "side of a token's patch [cells]", low=1)
  density: int = field.value(8, "channels of the density", low=1)
  colours: int = field.value(24, "channels of the colours", low=1)
  frequencies: int = field.value(4, "waves of the camera's numbers", low=0)
  told: bool = field.value(
    True, "even blocks attend to the image; False: its class token is all"
  )
  modulated: bool = field.value(
    True, "the camera modulates all blocks; False: it is told as one more patch"
  )
  own_norms: bool = field.value(
    True, "keys and values have norms of their own; False: that of the queries"
  )
  mean: tuple = field.value(
    (0.485, 0.456, 0.406), "mean of normalisation before the encoder"
  )
  std: tuple = field.value(
    (0.229, 0.224, 0.225), "standard deviation of that normalisation"
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def channels(self) -> int:
    """Of planes and lines, those of the density first."""
    return self.density + self.colours

  def check(self, encoder: sizes.Size, decoder: sizes.Size) -> None:
    """Raises ValueError where a decoder of this size cannot write them."""
    if self.resolution % self.patch:
      raise ValueError(
        f"planes.resolution={self.resolution} does not divide by "
        f"planes.patch={self.patch}"
      )
    if not (self.told or self.modulated):
      raise ValueError(
        "planes.modulated=False with planes.told=False: the camera would be "
        "told to nobody"
      )
    sizes.check(decoder, side=1, patch=1, prefix="decoder_")
    if decoder.width != encoder.width:
      raise ValueError(
        f"decoder_dims.width={decoder.width} of an encoder of {encoder.width}: "
        "its tokens are read as they are; set 0"
      )

  def encoder(self, dims: sizes.Dims, sides: tuple[int, int]) -> vit.ViT:
    """Without a last norm; its table of places is stored."""
    how = dict(positions="learned", final_norm=False, rt=self.rt)
    return vit.build(dims, sides, **how)

  def decoder(self, size: sizes.Size) -> nvist.Decoder:
    """Of tokens."""
    return nvist.Decoder(
      size=size,
      resolution=self.resolution,
      patch=self.patch,
      channels=self.channels,
      frequencies=self.frequencies,
      told=self.told,
      modulated=self.modulated,
      own_norms=self.own_norms,
      rt=self.rt,
    )

  def init(
    self,
    key: Array,
    nets: tuple[vit.ViT, nvist.Decoder],
    images: Array,
  ) -> method.Tree:
    """Parameters of an encoder and a decoder, by these names."""
    k_encoder, k_decoder = jax.random.split(key)
    encoder = nets[0].init(k_encoder, images)["params"]
    latent = self.latent(encoder, nets[0], images)
    camera = jnp.ones((len(images), 2))
    decoder = nets[1].init(k_decoder, latent, camera)["params"]
    return {"encoder": encoder, "decoder": decoder}

  def latent(self, params: method.Tree, net: vit.ViT, images: Array) -> Array:
    """Tokens [b, 1 + n, w] of images [b, h, w, 3] in 0 .. 1."""
    x = (images - jnp.asarray(self.mean)) / jnp.asarray(self.std)
    return net.apply({"params": params}, x)["latent"]

  def grids(
    self,
    params: method.Tree,
    nets: tuple[vit.ViT, nvist.Decoder],
    images: Array,
    camera: Array,
  ) -> dict[str, Array]:
    """Planes [b, 3, R, R, c] and lines [b, 3, R, 1, c] of images and cameras.

    Args:
      params: of `init`.
      nets: encoder and decoder.
      images: [b, h, w, 3] in 0 .. 1.
      camera: [b, 2] distance from the origin, focal length over height.
    """
    latent = self.latent(params["encoder"], nets[0], images)
    return nets[1].apply({"params": params["decoder"]}, latent, camera)
