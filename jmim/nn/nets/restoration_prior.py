"""A vector that tells a restorer what to do: read off images, or denoised.

Xia et al. 2023 (Zj-BinXia/DiffIR@293f86c): "CPEN", convolutions and a mean over
all places, and a small MLP that predicts such a vector at a time of a diffusion
process. Leaky ReLUs of slope 0.1 follow every layer, the last ones too.
"""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import resize
from jmim.nn import stack

LEAK = 0.1
FOLD = 4  # pixels of the restored image along a side of what is read
_leaky = functools.partial(nn.leaky_relu, negative_slope=LEAK)


def _dense(rt, width, name):
  return nn.Dense(width, dtype=rt.dtype, kernel_init=conv.TORCH, name=name)


def _conv(rt, width, name):
  return conv.conv3(rt, width, name, kernel_init=conv.TORCH)


class ResBlock(nn.Module):
  """x + conv(leaky(conv(x))); a layer of `nn.stack.Stack`."""

  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, h, w, c] -> the same, and no taps."""
    c = x.shape[-1]
    y = _leaky(_conv(self.rt, c, "conv1")(x))
    return self.rt.shard(x + _conv(self.rt, c, "conv2")(y)), {}


class Encoder(nn.Module, kw_only=True):
  """Images to one vector each; its width is four times that of the maps.

  Attributes:
    width: channels of the first maps.
    blocks: residual blocks.
    scale: side of a restored image over that of a spoilt one: 1, 2 or 4.
    rt: execution choices.
  """

  width: int = 64
  blocks: int = 5
  scale: int = 1
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, y: jax.Array, x: jax.Array | None = None) -> jax.Array:
    """A vector of an image, or of it and its truth, side by side.

    Args:
      y: spoilt [b, h, w, c].
      x: true [b, scale h, scale w, c]; None: it is not known.

    Returns:
      [b, 4 width] float32.
    """
    rt, width = self.rt, self.width
    seen = resize.unshuffle(y, FOLD // self.scale)
    if x is not None:
      seen = jnp.concatenate([seen, resize.unshuffle(x, FOLD)], axis=-1)
    y = rt.shard(_leaky(_conv(rt, width, "embed")(seen.astype(rt.dtype))))
    if self.blocks:
      make = functools.partial(ResBlock, rt, parent=None)
      y, _ = stack.Stack(make, self.blocks, rt, name="blocks")(y)
    for i, times in enumerate((2, 2, 4)):
      y = rt.shard(_leaky(_conv(rt, times * width, f"conv{i}")(y)))
    z = y.astype(jnp.float32).mean((1, 2)).astype(rt.dtype)
    for i in range(2):
      z = _leaky(_dense(rt, 4 * width, f"fc{i}")(z))
    return z.astype(jnp.float32)


class _Layer(nn.Module):
  """Leaky(W x + b), no residual; a layer of `nn.stack.Stack`."""

  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x):
    return _leaky(_dense(self.rt, x.shape[-1], "fc")(x)), {}


class Denoiser(nn.Module):
  """The vector itself from a noised one, its time, and a condition.

  Attributes:
    blocks: layers after the first.
    rt: execution choices.
  """

  blocks: int = 1
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, z: jax.Array, t: jax.Array, c: jax.Array) -> jax.Array:
    """Predicts z_0.

    Args:
      z: [b, d] noised.
      t: [] time, in any unit.
      c: [b, d] condition.

    Returns:
      [b, d] float32.
    """
    rt = self.rt
    time = jnp.broadcast_to(t, (len(z), 1))
    y = jnp.concatenate([c, time, z], axis=-1).astype(rt.dtype)
    y = _leaky(_dense(rt, z.shape[-1], "embed")(y))
    if self.blocks:
      make = functools.partial(_Layer, rt, parent=None)
      y, _ = stack.Stack(make, self.blocks, rt, name="blocks")(y)
    return y.astype(jnp.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Size of the vector and of what reads it off images."""

  width: int = field.value(
    64, "channels of the first maps; the vector has four times as many", low=1
  )
  blocks: int = field.value(5, "residual blocks of the encoder", low=0)

  @property
  def vector(self) -> int:
    """Numbers d of the vector."""
    return 4 * self.width

  def encoder(self, scale: int, rt: runtime.Runtime) -> Encoder:
    """What reads it off images that are enlarged so many times."""
    return Encoder(width=self.width, blocks=self.blocks, scale=scale, rt=rt)
