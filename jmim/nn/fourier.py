"""Blocks that look at a map and at its Fourier transform side by side.

    z   = rfft2(x);   z' = P(Re z) + i Q(Im z)
    y   = x + conv([x + coupling(x), conv(irfft2(z'))])

as Zheng et al. 2023 (CUE) have them. P and Q are two layers each, a kernel per
channel of 3 x 3 (neighbouring frequencies of a channel), or maps of 1 x 1 (all
channels of a frequency). Maps NHWC.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import coupling
from jmim.nn import depthwise

ZEROS = nn.initializers.zeros


class Part(nn.Module, kw_only=True):
  """The real or the imaginary part of a spectrum, through two layers.

  Attributes:
    width: channels.
    side: of the kernels; 1: all channels are mixed, else each on its own.
    rt: execution choices.
  """

  width: int
  side: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, k, width] -> the same."""
    return self._layer("conv2")(coupling.leaky(self._layer("conv1")(x)))

  def _layer(self, name: str) -> nn.Module:
    if self.side == 1:
      return conv.conv1(self.rt, self.width, name)
    return depthwise.Depthwise(
      side=self.side,
      kernel_init=conv.TORCH,
      bias_init=ZEROS,
      rt=self.rt,
      name=name,
    )


class Spectrum(nn.Module, kw_only=True):
  """A map, of which both parts of the spectrum were changed.

  Attributes:
    width: channels.
    side: of the kernels, see `Part`.
    rt: execution choices.
  """

  width: int
  side: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, width] -> the same; the transforms are in float32."""
    part = lambda name: Part(
      width=self.width, side=self.side, rt=self.rt, name=name
    )
    sides = {"s": x.shape[1:3], "axes": (1, 2)}
    transform, back = (
      functools.partial(f, **sides) for f in (jnp.fft.rfft2, jnp.fft.irfft2)
    )
    z = self.rt.on_batch(transform, x.astype(jnp.float32))
    real, imag = part("real")(z.real), part("imag")(z.imag)
    z = jax.lax.complex(*(y.astype(jnp.float32) for y in (real, imag)))
    return self.rt.on_batch(back, z).astype(x.dtype)


class Fuse(nn.Module, kw_only=True):
  """A coupling and the spectrum beside each other.

  Attributes:
    width: channels.
    side: of every kernel outside of the coupling, 3 or 1.
    rt: execution choices.
  """

  width: int
  side: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, width] -> the same."""
    couple = coupling.Coupling(width=self.width, rt=self.rt, name="coupling")
    spectrum = Spectrum(
      width=self.width, side=self.side, rt=self.rt, name="spectrum"
    )
    near = x + couple(x)
    far = self._layer("back")(spectrum(x))
    both = jnp.concatenate([near, far], axis=-1)
    return self.rt.shard(x + self._layer("join")(both))

  def _layer(self, name: str) -> nn.Module:
    if self.side == 1:
      return conv.conv1(self.rt, self.width, name)
    return conv.conv3(self.rt, self.width, name, kernel_init=conv.TORCH)
