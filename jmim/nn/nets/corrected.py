"""A frozen UNet whose prediction a branch corrects, told by a code.

Zhang et al. 2022 (PDAE): the branch has the UNet's middle, way up and head,
reads its skips and time, and the code as a second scale and shift; an encoder
makes the code of an image.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import unet as layers
from jmim.nn.nets import code_encoder
from jmim.nn.nets import unet


@dataclasses.dataclass(frozen=True, kw_only=True)
class Corrected:
  """Three networks as functions of their parameters.

  Attributes:
    dims: of the UNet and of the branch; dropout is the branch's.
    encoder: of the encoder.
    width: numbers of the code.
    side: of the images [pixels].
    channels: of the images.
    outputs: of the UNet per channel; the first is what is corrected.
    rt: execution choices.
  """

  dims: unet.Dims
  encoder: code_encoder.Dims
  width: int
  side: int
  channels: int
  outputs: int = 1
  rt: runtime.Runtime = runtime.Runtime()

  @property
  def host(self) -> unet.UNet:
    """The frozen network."""
    return self.dims.net(out=self.channels * self.outputs, rt=self.rt)

  def branch(self, dropout: float = 0.0) -> unet.Branch:
    """What corrects it, without dropout unless it is asked for."""
    options = {"dropout": dropout, "code": "scale", "rt": self.rt}
    return self.dims.branch(out=self.channels, **options)

  @property
  def encoder_net(self) -> code_encoder.CodeEncoder:
    """Image to code."""
    return self.encoder.net(width=self.width, rt=self.rt)

  def check(self) -> None:
    """Raises ValueError for networks that cannot be built."""
    self.dims.check(self.side)
    self.encoder.check(self.side)

  def init_host(self, key: jax.Array) -> Any:
    """Fresh parameters of the host: the structure of trained ones."""
    return self.host.init(key, self._image(), jnp.zeros(1))["params"]

  def init(self, key: jax.Array) -> dict[str, Any]:
    """Parameters of "encoder" and "branch"; the correction starts at 0."""
    k_host, k_encoder, k_branch = jax.random.split(key, 3)
    # Of the host only the shapes of what the branch reads matter.
    _, taps = self.frozen(self.init_host(k_host), self._image(), jnp.zeros(1))
    code = jnp.zeros((1, self.width))
    branch = self.branch().init(k_branch, taps.skips, taps.emb, code=code)
    encoder = self.encoder_net.init(k_encoder, self._image())
    return {"encoder": encoder["params"], "branch": branch["params"]}

  def _image(self):
    return jnp.zeros((1, self.side, self.side, self.channels))

  def encode(self, params: Any, x: jax.Array) -> jax.Array:
    """Codes [b, width] of images [b, h, w, c]."""
    return self.encoder_net.apply({"params": params["encoder"]}, x)

  def frozen(
    self, host: Any, x: jax.Array, t: jax.Array
  ) -> tuple[jax.Array, layers.Taps]:
    """(prediction [b, h, w, c], what the branch reads) at times t [b]."""
    raw, taps = self.host.apply({"params": host}, x, t, method="tapped")
    return raw[..., : self.channels], taps

  def correction(
    self,
    params: Any,
    taps: layers.Taps,
    code: jax.Array,
    seed: jax.Array | None = None,
  ) -> jax.Array:
    """What the branch says [b, h, w, c].

    Args:
      params: of `init`.
      taps: of `frozen`.
      code: [b, width].
      seed: of dropout; None: there is none.
    """
    rngs = {} if seed is None else {"dropout": jax.random.key(seed)}
    net = self.branch(self.dims.dropout if rngs else 0.0)
    branch = {"params": params["branch"]}
    return net.apply(branch, taps.skips, taps.emb, code=code, rngs=rngs)
