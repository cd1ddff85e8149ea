"""A UNet that is told a rendering, numbers, tokens and an identity (DiffFAE).

    h    = h (1 + a(R)) + b(R)        rendering R, at each residual block
    h    = h (1 + s(i)) + b(i)        identity i, after its second norm (AdaIN)
    emb  = time + MLP(numbers)
    e    = UNet([z, r], emb; tokens)  r: the rendering as the state is coded

a, b, s begin at 0. Each side of the UNet has its own features of R, a mean over
pixels and then one convolution and SiLU. What is left out is multiplied by 0.
"""

from typing import NamedTuple

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import unet_blocks
from jmim.nn.nets import unet


class Told(NamedTuple):
  """What it is told; None: it has no such thing.

  Attributes:
    rendering: R [b, H, W, 3], H a multiple of the state's side.
    latent: [b, h, w, c], R as the state is coded.
    numbers: [b, n].
    tokens: [b, K, d].
    identity: [b, f].
    keep_rendering: [b], 0 where R, latent and numbers are left out.
    keep_tokens: [b], 0 where tokens and identity are.
  """

  rendering: jax.Array | None
  latent: jax.Array | None
  numbers: jax.Array | None
  tokens: jax.Array | None
  identity: jax.Array | None
  keep_rendering: jax.Array
  keep_tokens: jax.Array


class Pyramid(nn.Module, kw_only=True):
  """Features of a picture at each side.

  Attributes:
    sides: finest first [pixels].
    width: channels of each.
    rt: execution choices.
  """

  sides: tuple[int, ...]
  width: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> list[jax.Array]:
    """[b, H, W, c] -> [b, s, s, width] for each side s, a divisor of H."""
    maps = []
    for i, side in enumerate(self.sides):
      n = x.shape[1] // side
      small = einops.reduce(x, "b (h p) (w q) c -> b h w c", "mean", p=n, q=n)
      layer = conv.conv3(self.rt, self.width, f"conv{i}")
      maps.append(nn.silu(layer(small.astype(self.rt.dtype))))
    return maps


class RenderedUNet(nn.Module, kw_only=True):
  """The network.

  Attributes:
    net: the UNet; numbers are its added code.
    sides: of its levels, finest first.
    film: channels of the features of a rendering.
    width: of an identity, behind a linear map.
    rt: execution choices.
  """

  net: unet.UNet
  sides: tuple[int, ...]
  film: int
  width: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, z: jax.Array, t: jax.Array, told: Told) -> jax.Array:
    """Raw prediction [b, h, w, out] for the state z [b, h, w, c] at t [b]."""
    shown = lambda x: _kept(x, told.keep_rendering)
    tokens = lambda x: _kept(x, told.keep_tokens)
    modulations = []
    if told.rendering is not None:
      z = jnp.concatenate([z, shown(told.latent)], axis=-1)
      pyramid = Pyramid(sides=self.sides, width=self.film, rt=self.rt)
      maps = [shown(x) for x in pyramid(told.rendering)]
      modulations.append(unet_blocks.Modulation("rendering", maps, zero=True))
    if told.identity is not None:
      layer = nn.Dense(self.width, dtype=self.rt.dtype, name="identity")
      own = tokens(layer(told.identity))
      modulations.append(unet_blocks.Modulation("identity", own, zero=True))
    code = None if told.numbers is None else shown(told.numbers)
    context = None if told.tokens is None else tokens(told.tokens)
    more = dict(code=code, modulations=modulations)
    return self.net(z, t, context=context, **more)


def _kept(x, keep):
  """x [b, ...], or zeros where keep [b] is 0."""
  return x * keep.reshape(-1, *[1] * (x.ndim - 1)).astype(x.dtype)
