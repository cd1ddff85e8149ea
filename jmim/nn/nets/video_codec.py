"""Causal autoencoders of clips as pure functions: chunks, borders, images.

Clips are cut into chunks of `size.chunk` frames (17: 3 latent frames) that
know nothing of each other. After decoding, the frames at the borders of
chunks are blended:

    back  <- .6 back + .4 front         the first frame of a chunk, the last
    front <- .6 front + .4 back         of the one before it, in this order

The last convolution of the decoder stands apart (`last`): adversarial training
looks at the gradient of its kernel.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import causal_conv
from jmim.nn.nets import video_adaptive
from jmim.nn.nets import video_deep
from jmim.nn.nets import video_sizes

KEPT = 0.6  # share of a frame at a border


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoCodec:
  """Encoder, decoder and last convolution as one set of pure functions.

  Its parameters are {"encoder", "decoder", "last"}. It has the methods of
  `autoencoder.Autoencoder`, for clips [b, t, h, w, c].

  Attributes:
    size: layout, widths, depths and factors.
    rt: execution choices.
  """

  size: video_sizes.Size
  rt: runtime.Runtime = runtime.Runtime()

  codes = 0  # no codebook
  gaussian = True  # mean and log variance of a posterior are encoded

  @property
  def deep(self) -> bool:
    """Whether it has Step-Video's layout."""
    return self.size.layout == "deep"

  @property
  def encoder(self) -> nn.Module:
    """Of one chunk."""
    nets = video_deep if self.deep else video_adaptive
    return nets.Encoder(size=self.size, rt=self.rt)

  @property
  def decoder(self) -> nn.Module:
    """Of one chunk, without the last convolution."""
    nets = video_deep if self.deep else video_adaptive
    return nets.Decoder(size=self.size, rt=self.rt)

  @property
  def last(self) -> causal_conv.CausalConv:
    """The last convolution, to pixels; no activation follows."""
    front = "zeros" if self.deep else "first"
    return causal_conv.CausalConv(
      width=self.size.channels, front=front, rt=self.rt
    )

  @property
  def surplus(self) -> int:
    """Frames that come out of the last convolution before the first one.

    Where time is doubled the first frame is, too; the dual path, and the
    adaptive layout, leave it out at once.
    """
    return 2 ** len(self.size.time_up) - 1 if self.deep else 0

  def init(self, key: jax.Array) -> Any:
    """Fresh parameters."""
    s, keys = self.size, jax.random.split(key, 3)
    side = 2 * s.factor
    frames = s.frames(min(2, s.latent_chunk or 2))
    nets = {
      "encoder": (self.encoder, (1, frames, side, side, s.channels)),
      "decoder": (self.decoder, (1, 1, 2, 2, s.code)),
      "last": (self.last, (1, 1, 1, 1, s.multipliers[0] * s.width)),
    }
    return {
      name: net.init(k, jnp.zeros(shape))["params"]
      for k, (name, (net, shape)) in zip(keys, nets.items(), strict=True)
    }

  def moments(self, params: Any, x: jax.Array) -> jax.Array:
    """One chunk [b, T, H, W, c] -> [b, t, h, w, 2 code] float32."""
    return self.encoder.apply({"params": params["encoder"]}, x)

  def features(self, params: Any, z: jax.Array) -> jax.Array:
    """One chunk [b, t, h, w, code] -> what the last convolution reads."""
    return self.decoder.apply({"params": params["decoder"]}, z)

  def pixels(self, params: Any, features: jax.Array) -> jax.Array:
    """Features of a chunk -> frames [b, T, H, W, c] float32."""
    found = self.last.apply({"params": params["last"]}, features)
    return found[:, self.surplus :].astype(jnp.float32)

  def encode(self, params: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Clips [b, T, H, W, c] -> moments [b, t, h, w, 2 code], twice.

    Twice, as `Autoencoder.encode` gives what comes before its 1 x 1
    convolution, too, which there is none of here.
    """
    encode = lambda chunk: self.moments(params, chunk)
    moments = in_chunks(encode, x, self.size.chunk)
    return moments, moments

  def decode(self, params: Any, z: jax.Array) -> jax.Array:
    """Latents [b, t, h, w, code] -> clips [b, T, H, W, c], borders blended."""
    decode = lambda chunk: self.pixels(params, self.features(params, chunk))
    made = in_chunks(decode, z, self.size.latent_chunk)
    return blended(made, self.size.chunk)


def in_chunks(
  fn: Callable[[jax.Array], jax.Array], x: jax.Array, chunk: int
) -> jax.Array:
  """fn of chunks in time, one after another: [b, n, ...] -> [b, n', ...].

  Args:
    fn: of [b, m, ...] with m up to `chunk`.
    x: clips or latents; what is left behind whole chunks is one, too.
    chunk: frames of a chunk; 0: all of them.
  """
  if not chunk or x.shape[1] <= chunk:
    return fn(x)
  whole = x.shape[1] // chunk
  stacked = x[:, : whole * chunk].reshape(len(x), whole, chunk, *x.shape[2:])
  made = jax.lax.map(fn, jnp.moveaxis(stacked, 1, 0))
  parts = [jnp.moveaxis(made, 0, 1).reshape(len(x), -1, *made.shape[3:])]
  if x.shape[1] % chunk:
    parts.append(fn(x[:, whole * chunk :]))
  return jnp.concatenate(parts, axis=1)


def blended(x: jax.Array, chunk: int) -> jax.Array:
  """[b, t, ...] with the frames at both sides of chunks' borders mixed."""
  if not chunk or x.shape[1] <= chunk:
    return x
  back = slice(chunk, None, chunk)
  front = slice(chunk - 1, x.shape[1] - 1, chunk)
  mix = lambda a, b: KEPT * a + (1 - KEPT) * b
  x = x.at[:, back].set(mix(x[:, back], x[:, front]))
  return x.at[:, front].set(mix(x[:, front], x[:, back]))
