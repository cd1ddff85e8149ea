"""The autoencoder of latent diffusion as pure functions, and its posterior.

The last convolution of the decoder stands apart (`last`): adversarial training
looks at the gradient of its kernel.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import vq
from jmim.nn.nets import codec


@dataclasses.dataclass(frozen=True)
class Autoencoder:
  """Encoder, decoder and last convolution as one set of pure functions.

  Its parameters are {"encoder", "decoder", "last"} and, quantised, "codes".

  Attributes:
    size: widths and depths.
    codes: of the codebook; 0: a Gaussian posterior (KL).
    rt: execution choices.
  """

  size: codec.Size
  codes: int = 0
  rt: runtime.Runtime = runtime.Runtime()

  @property
  def gaussian(self) -> bool:
    """Whether mean and log variance of a posterior are encoded."""
    return not self.codes

  @property
  def encoder(self) -> codec.Encoder:
    """Two numbers per latent channel, or one."""
    return codec.Encoder(self.size, self.rt, 1 + self.gaussian)

  @property
  def decoder(self) -> codec.Decoder:
    """Without the last convolution."""
    return codec.Decoder(self.size, self.rt)

  @property
  def last(self) -> nn.Conv:
    """The last convolution, to pixels; no activation follows."""
    c = self.size.channels
    return conv.conv3(self.rt, c, None, kernel_init=conv.TORCH)

  def init(self, key: jax.Array) -> Any:
    """Fresh parameters."""
    s, keys = self.size, jax.random.split(key, 4)
    z = jnp.zeros((1, 2, 2, s.code))
    image = jnp.zeros((1, 2 * s.factor, 2 * s.factor, s.channels))
    f = jnp.zeros((1, 1, 1, s.multipliers[0] * s.width))
    nets = {
      "encoder": (self.encoder, image),
      "decoder": (self.decoder, z),
      "last": (self.last, f),
    }
    found = {
      name: net.init(k, x)["params"]
      for k, (name, (net, x)) in zip(keys, nets.items(), strict=False)
    }
    if self.codes:
      found["codes"] = vq.uniform_codes(keys[3], self.codes, s.code)
    return found

  def encode(self, params: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What `Encoder` returns: moments (KL) or codes to be, and `hidden`."""
    return self.encoder.apply({"params": params["encoder"]}, x)

  def trunk(self, params: Any, x: jax.Array) -> jax.Array:
    """Images -> [b, h, w, d], what the encoder's `conv_out` reads."""
    return self.encoder.apply({"params": params["encoder"]}, x, "trunk")

  def tail(
    self, params: Any, trunk: jax.Array, kernel: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """What `encode` returns, from `trunk` and another kernel of `conv_out`."""
    encoder = params["encoder"]
    encoder = {
      **encoder,
      "conv_out": {**encoder["conv_out"], "kernel": kernel},
    }
    return self.encoder.apply({"params": encoder}, trunk, "tail")

  def features(self, params: Any, z: jax.Array) -> jax.Array:
    """[b, h, w, code] -> what the last convolution reads."""
    return self.decoder.apply({"params": params["decoder"]}, z)

  def pixels(self, params: Any, features: jax.Array) -> jax.Array:
    """Features -> images [b, H, W, c] float32."""
    found = self.last.apply({"params": params["last"]}, features)
    return found.astype(jnp.float32)

  def decode(self, params: Any, z: jax.Array) -> jax.Array:
    """[b, h, w, code] -> images; quantised first where there are codes."""
    if self.codes:
      z = params["codes"][vq.nearest(z, params["codes"])]
    return self.pixels(params, self.features(params, z))


def posterior(moments: jax.Array) -> tuple[jax.Array, jax.Array]:
  """(mean, log variance in -30 .. 20), each half of the last axis."""
  mean, log_var = jnp.split(moments, 2, axis=-1)
  return mean, jnp.clip(log_var, -30.0, 20.0)


def drawn(moments: jax.Array, noise: jax.Array) -> jax.Array:
  """mean + deviation noise, of the posterior."""
  mean, log_var = posterior(moments)
  return mean + jnp.exp(0.5 * log_var) * noise


def divergence(moments: jax.Array) -> jax.Array:
  """KL(posterior || N(0, 1)), summed over each example: [b]."""
  mean, log_var = posterior(moments)
  each = mean**2 + jnp.exp(log_var) - 1.0 - log_var
  return 0.5 * each.sum(tuple(range(1, each.ndim)))
