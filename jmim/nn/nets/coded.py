"""A UNet that is told a code of an image, and what makes the code.

Preechakul et al. 2022 (Diff-AE): time acts as scale and shift, the code as a
scale behind it, in every residual block; beside the noisy image the UNet may
see others (Liu et al. 2024, DiffDub).
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn.nets import semantic_encoder
from jmim.nn.nets import unet

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coded:
  """Both networks as functions of their parameters, "net" and "encoder".

  Attributes:
    dims: of the UNet.
    encoder: of the encoder, which goes down alone.
    width: numbers of the code, and of the UNet's embedding of time.
    side: of the images [pixels].
    channels: of the images.
    references: images beside the noisy one.
    rt: execution choices.
  """

  dims: unet.Dims
  encoder: unet.Dims
  width: int
  side: int
  channels: int = 3
  references: int = 0
  rt: runtime.Runtime = runtime.Runtime()

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of an image."""
    return (self.side, self.side, self.channels)

  @property
  def net(self) -> unet.UNet:
    """The UNet."""
    dims = dataclasses.replace(self.dims, time_width=self.width)
    return dims.net(out=self.channels, code="gain", rt=self.rt)

  @property
  def encoder_net(self) -> semantic_encoder.SemanticEncoder:
    """Image to code."""
    fields = self.encoder.fields()
    return semantic_encoder.SemanticEncoder(
      **fields, out=self.width, rt=self.rt
    )

  def check(self) -> None:
    """Raises ValueError for networks that cannot be built."""
    for name in ("dims", "encoder"):
      dims = getattr(self, name)
      dims.check(self.side)
      if dims.dropout:
        raise ValueError(f"{name}.dropout={dims.dropout}: there is none here")
    for name, fixed in (("time_width", 0), ("scale_shift", True)):
      if (own := getattr(self.dims, name)) != fixed:
        raise ValueError(
          f"dims.{name}={own}: time is embedded as wide as the code, and acts "
          "as scale and shift"
        )

  def init(self, key: jax.Array) -> dict[str, Any]:
    """Fresh parameters; the prediction starts at 0."""
    k_net, k_encoder = jax.random.split(key)
    x, code = jnp.zeros((1, *self.shape)), jnp.zeros((1, self.width))
    seen = jnp.tile(x, (1, 1, 1, 1 + self.references))
    net = self.net.init(k_net, seen, jnp.zeros(1), code=code)
    encoder = self.encoder_net.init(k_encoder, x)
    return {"net": net["params"], "encoder": encoder["params"]}

  def encode(self, params: Any, x: Array) -> Array:
    """Codes [b, width] float32 of images [b, h, w, c]."""
    return self.encoder_net.apply({"params": params["encoder"]}, x)

  def noise(
    self, params: Any, x: Array, t: Array, *, beside: Array, code: Array
  ) -> Array:
    """What is predicted [b, h, w, c] float32.

    Args:
      params: "net" is read.
      x: noisy images.
      t: [b] times.
      beside: [b, h, w, r c], the other images; r may be 0.
      code: [b, width].
    """
    x = jnp.concatenate([x, beside], axis=-1)
    return self.net.apply({"params": params["net"]}, x, t, code=code)
