"""A convolutional VAE with one code per image, written as a string of blocks.

Pandey et al. 2022 (kpandey008/DiffuseVAE@8e6d251), after the very deep VAE of
Child 2021. Residual blocks of four convolutions, no norms, images NHWC; a code
is a map of side 1. Strings: `nn.block_string`.
"""

import dataclasses
from typing import Any

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import block_string
from jmim.nn import conv
from jmim.nn import recompute


class Block(nn.Module):
  """x + four convolutions, each after a GELU, of half the width inside.

  Attributes:
    wide: the two in the middle are 3 x 3, else 1 x 1 (at side 1).
    rt: execution choices.
  """

  wide: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> the same."""
    c = x.shape[-1]
    y = _point(self.rt, c // 2, "c1")(recompute.gelu(x))
    for name in ("c2", "c3"):
      if self.wide:
        layer = conv.conv3(self.rt, c // 2, name, kernel_init=conv.TORCH)
      else:
        layer = _point(self.rt, c // 2, name)
      y = layer(recompute.gelu(y))
    return self.rt.shard(x + _point(self.rt, c, "c4")(recompute.gelu(y)))


def _point(rt, width, name, bias=True):
  """1 x 1 convolution with torch's initial kernel."""
  return nn.Dense(
    width, use_bias=bias, dtype=rt.dtype, kernel_init=conv.TORCH, name=name
  )


class Layers(nn.Module):
  """The layers of a block string one after another.

  Attributes:
    text: block string.
    width: of each side, as (side, channels).
    rt: execution choices.
  """

  text: str
  width: tuple[tuple[int, int], ...]
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, y: jax.Array) -> jax.Array:
    """[b, h, w, c] -> [b, h', w', c']; the layer i has the name layer{i}."""
    width = dict(self.width)
    for i, layer in enumerate(block_string.parse(self.text)):
      if layer.up:
        p = layer.up
        y = einops.repeat(y, "b h w c -> b (h p) (w q) c", p=p, q=p)
      elif layer.to:
        y = _point(self.rt, width[layer.to], f"layer{i}", bias=False)(y)
      else:
        y = Block(layer.side > 1, self.rt, name=f"layer{i}")(y)
        p = layer.down
        y = einops.reduce(y, "b (h p) (w q) c -> b h w c", "mean", p=p, q=p)
    return y


class Encoder(nn.Module):
  """Images to the moments of a code."""

  text: str
  width: tuple[tuple[int, int], ...]
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] in [0, 1] -> [b, 1, 1, 2 z] float32: mean, log variance."""
    width, rt = dict(self.width), self.rt
    first = width[block_string.parse(self.text)[0].side]
    options = {"use_bias": False, "kernel_init": conv.TORCH}
    y = conv.conv3(rt, first, "conv_in", **options)(x.astype(rt.dtype))
    y = Layers(self.text, self.width, rt, name="blocks")(rt.shard(y))
    heads = [_point(rt, width[1], n, bias=False) for n in ("mean", "log_var")]
    y = jnp.concatenate([head(y) for head in heads], axis=-1)
    return y.astype(jnp.float32)


class Decoder(nn.Module, kw_only=True):
  """Codes to images; `channels`: theirs."""

  text: str
  width: tuple[tuple[int, int], ...]
  channels: int = 3
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, z: jax.Array) -> jax.Array:
    """[b, 1, 1, z] -> [b, h, w, channels] float32 in (0, 1)."""
    rt = self.rt
    blocks = Layers(self.text, self.width, rt, name="blocks")
    y = blocks(z.astype(rt.dtype))
    last = conv.conv3(rt, self.channels, "conv_out", kernel_init=conv.TORCH)
    return nn.sigmoid(last(y).astype(jnp.float32))


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockVAE:
  """Encoder and decoder as pure functions of {"encoder", "decoder"}.

  Attributes:
    encoder: network.
    decoder: network.
    side: of the images [pixels].
    code: channels z of a code.
  """

  encoder: Encoder
  decoder: Decoder
  side: int
  code: int

  def init(self, key: jax.Array) -> Any:
    """Fresh parameters."""
    k_encoder, k_decoder = jax.random.split(key)
    image = jnp.zeros((1, self.side, self.side, self.decoder.channels))
    z = jnp.zeros((1, 1, 1, self.code))
    return {
      "encoder": self.encoder.init(k_encoder, image)["params"],
      "decoder": self.decoder.init(k_decoder, z)["params"],
    }

  def moments(self, params: Any, x: jax.Array) -> jax.Array:
    """Images [b, h, w, c] in [0, 1] -> [b, 1, 1, 2 z], as `Encoder`."""
    return self.encoder.apply({"params": params["encoder"]}, x)

  def decode(self, params: Any, z: jax.Array) -> jax.Array:
    """Codes [b, z] or [b, 1, 1, z] -> images [b, h, w, c] in (0, 1)."""
    z = z.reshape(len(z), 1, 1, self.code)
    return self.decoder.apply({"params": params["decoder"]}, z)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Blocks and widths of a VAE, as a method's config has them."""

  encoder: str = field.value(
    "32x7,32d2,32t16,16x4,16d2,16t8,8x4,8d2,8t4,4x3,4d4,4t1,1x3",
    "block string from the image to side 1, see `nn.block_string`",
  )
  encoder_widths: str = field.value(
    "32:64,16:128,8:256,4:256,1:512", "channels of the encoder by side"
  )
  decoder: str = field.value(
    "1x1,1u4,1t4,4x2,4u2,4t8,8x3,8u2,8t16,16x7,16u2,16t32,32x15",
    "block string from side 1 to the image",
  )
  decoder_widths: str = field.value(
    "32:64,16:128,8:256,4:256,1:512", "channels of the decoder by side"
  )

  @property
  def code(self) -> int:
    """Channels z of a code."""
    return block_string.widths(self.decoder_widths)[1]

  def net(self, channels: int, rt: runtime.Runtime) -> BlockVAE:
    """The networks, for images of so many channels."""
    sizes = lambda text: tuple(block_string.widths(text).items())
    encoder = Encoder(self.encoder, sizes(self.encoder_widths), rt)
    decoder = Decoder(
      text=self.decoder,
      width=sizes(self.decoder_widths),
      channels=channels,
      rt=rt,
    )
    side = block_string.parse(self.encoder)[0].side
    return BlockVAE(encoder=encoder, decoder=decoder, side=side, code=self.code)

  def check(self, side: int, prefix: str = "dims.") -> None:
    """Raises ValueError unless images of that side become codes and back.

    Args:
      side: of the images [pixels].
      prefix: of the keys, for messages.
    """
    ends = {}
    for name in ("encoder", "decoder"):
      layers = block_string.parse(getattr(self, name))
      width = block_string.widths(getattr(self, f"{name}_widths"))
      last = block_string.walk(layers, width, prefix + name)
      ends[name] = (layers[0].side, last)
    if ends != {"encoder": (side, 1), "decoder": (1, side)}:
      raise ValueError(
        f"{prefix}encoder goes from side {ends['encoder'][0]} to "
        f"{ends['encoder'][1]}, {prefix}decoder from {ends['decoder'][0]} to "
        f"{ends['decoder'][1]}: from the image's side (size), {side}, to 1 and "
        "back"
      )
    made = block_string.widths(self.encoder_widths)[1]
    if made != self.code:
      raise ValueError(
        f"{prefix}encoder_widths makes codes of {made} channels, "
        f"{prefix}decoder_widths reads {self.code}"
      )
