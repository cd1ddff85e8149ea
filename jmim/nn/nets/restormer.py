"""Restormer: attention between channels and gated convolutions, at four sides.

Zamir et al. 2022, as Xia et al. 2023 tell it a vector ("DIRformer" of
Zj-BinXia/DiffIR@293f86c). A block, with u = LN(x) or, told z, a LN(x) + b where
[a, b] = W z (a itself multiplies, not 1 + a):

    q, k, v = depthwise(1 x 1 u);  per head  v softmax(tau_h cos(q, k))
              cosines of two channels, over all places
    x       = x + 1 x 1 of that
    p, g    = depthwise(1 x 1 u);  x = x + 1 x 1 (gelu(p) g)

Every other layer is a convolution without a bias, but for those of a tail that
enlarges. Images NHWC.
"""

import dataclasses
import functools

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import depthwise
from jmim.nn import norm
from jmim.nn import recompute
from jmim.nn import resize
from jmim.nn import stack

EPS = 1e-5
LEAST = 1e-12  # of the length of a channel
LEVELS = 4
NORMS = {
  "with_bias": lambda rt, name: norm.layer_norm(rt, name, EPS),
  "bias_free": lambda rt, name: norm.BiasFree(
    epsilon=EPS, dtype=rt.dtype, name=name
  ),
}


def _point(rt, width, name, bias=False):
  """1 x 1 convolution with torch's initial kernel."""
  return nn.Dense(
    width, use_bias=bias, dtype=rt.dtype, kernel_init=conv.TORCH, name=name
  )


def _conv(rt, width, name, bias=False):
  """3 x 3 convolution with torch's initial kernel."""
  return conv.conv3(rt, width, name, use_bias=bias, kernel_init=conv.TORCH)


def _depthwise(rt, name):
  return depthwise.Depthwise(side=3, kernel_init=conv.TORCH, rt=rt, name=name)


class Attention(nn.Module, kw_only=True):
  """Of the channels of a head to each other; no cost grows with places^2."""

  heads: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> the same; the softmax is in float32."""
    rt, (_, h, _, c) = self.rt, x.shape
    y = _depthwise(rt, "qkv_depthwise")(_point(rt, 3 * c, "qkv")(x))
    split = "b h w (three n d) -> three b (h w) n d"
    q, k, v = einops.rearrange(y, split, three=3, n=self.heads)
    tau = self.param("temperature", nn.initializers.ones, (self.heads,))
    logits = jnp.einsum(
      "btnd,btne->bnde", q, k, preferred_element_type=jnp.float32
    )
    # The lengths divide d x e numbers, not the maps of all places.
    logits *= tau[:, None, None] * _inverse(q)[..., None]
    p = recompute.softmax(logits * _inverse(k)[:, :, None], v.dtype)
    y = jnp.einsum("bnde,btne->btnd", p, v)
    y = einops.rearrange(y, "b (h w) n d -> b h w (n d)", h=h)
    return _point(rt, c, "proj")(y)


def _inverse(x):
  """1 / max(length over places, LEAST): [b, t, n, d] -> [b, n, d]."""
  square = jnp.square(x.astype(jnp.float32)).sum(1)
  return jax.lax.rsqrt(jnp.maximum(square, LEAST**2))


class FeedForward(nn.Module, kw_only=True):
  """Two depth-wise maps of int(ratio c) channels, one gating the other."""

  ratio: float
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> the same."""
    c, rt = x.shape[-1], self.rt
    y = _point(rt, 2 * int(self.ratio * c), "fc1")(x)
    made, gate = jnp.split(_depthwise(rt, "depthwise")(y), 2, axis=-1)
    return _point(rt, c, "fc2")(recompute.gelu(made) * gate)


class Block(nn.Module, kw_only=True):
  """Attention, then the feed-forward; a layer of `nn.stack.Stack`.

  Attributes:
    heads: attention heads.
    ratio: hidden channels of the feed-forward over c.
    norm: one of NORMS.
    rt: execution choices.
  """

  heads: int
  ratio: float
  norm: str = "with_bias"
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, x: jax.Array, *, cond: jax.Array | None = None
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """One map to the next, and no taps.

    Args:
      x: [b, h, w, c].
      cond: z [b, d]; None: a plain Restormer's block.
    """
    rt = self.rt
    branches = (
      Attention(heads=self.heads, rt=rt, name="attn"),
      FeedForward(ratio=self.ratio, rt=rt, name="mlp"),
    )
    for i, branch in enumerate(branches, 1):
      y = NORMS[self.norm](rt, f"norm{i}")(x)
      if cond is not None:
        made = _point(rt, 2 * x.shape[-1], f"told{i}")(cond.astype(rt.dtype))
        a, b = jnp.split(made[:, None, None], 2, axis=-1)
        y = a * y + b
      x = rt.shard(x + branch(y))
    return x, {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Widths and depths of a Restormer, as a method's config has them."""

  width: int = field.value(48, "channels of the finest level", low=2)
  blocks: tuple = field.value((3, 5, 6, 6), "blocks per level, finest first")
  refinement: int = field.value(
    4, "blocks after the finest level, of twice its channels", low=0
  )
  heads: tuple = field.value(
    (1, 2, 4, 8), "attention heads per level, finest first"
  )
  ratio: float = field.value(
    2.0, "hidden channels of a feed-forward over its own", above=0.0
  )
  norm: str = field.value(
    "with_bias",
    "norm over channels; 'bias_free' divides by the standard deviation and "
    "subtracts no mean",
    choices=tuple(NORMS),
  )
  unshuffle: int = field.value(
    1,
    "side of the squares of pixels that become channels first",
    choices=(1, 2, 4),
  )

  @property
  def multiple(self) -> int:
    """What the sides of an image must divide by."""
    return self.unshuffle * 2 ** (LEVELS - 1)

  def net(self, *, scale: int, out: int, rt: runtime.Runtime) -> "Restormer":
    """The network whose images have `scale` times the side of its input.

    Args:
      scale: 1, 2 or 4.
      out: channels of what it makes.
      rt: execution choices.
    """
    return Restormer(dims=self, scale=scale, out=out, rt=rt)

  def check(self, scale: int, size: int) -> None:
    """Raises ValueError where it cannot be built, or not read the images.

    Args:
      scale: as of `net`.
      size: side of what is made [pixels].
    """
    for name in ("blocks", "heads"):
      each = getattr(self, name)
      if len(each) != LEVELS or min(each) < 1:
        raise ValueError(f"dims.{name}={each}: {LEVELS} numbers, at least 1")
    if self.width % 2:
      raise ValueError(f"dims.width={self.width} is odd: a level halves it")
    for level, heads in enumerate(self.heads):
      if self.width * 2**level % heads:
        raise ValueError(
          f"dims.width: the {self.width * 2**level} channels of level {level} "
          f"do not divide by {heads} heads (dims.heads)"
        )
    if scale * self.unshuffle not in (1, 4):
      raise ValueError(
        f"dims.unshuffle={self.unshuffle} of images that grow {scale} times: "
        "the trunk runs at a fourth of the side of what is made, or at the "
        "side of an image that stays as large; their product is 4, or 1"
      )
    if size % (scale * self.multiple):
      raise ValueError(
        f"size {size} does not divide by {scale * self.multiple}: {LEVELS} "
        f"levels, dims.unshuffle={self.unshuffle}, images grow {scale} times"
      )


class Restormer(nn.Module, kw_only=True):
  """Four levels down and up with skips; what it makes is added to its input.

  Attributes:
    dims: see `Dims`.
    scale: side of what is made over that of the input: 1, 2 or 4.
    out: channels of what is made; the first so many of the input are added.
    rt: execution choices.
  """

  dims: Dims
  scale: int = 1
  out: int = 3
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, z: jax.Array | None = None) -> jax.Array:
    """Restores images whose sides divide by `dims.multiple`.

    Args:
      x: [b, h, w, c].
      z: [b, d] what the blocks are told; None: a plain Restormer.

    Returns:
      [b, scale h, scale w, out] float32, not clipped.
    """
    rt, width = self.rt, self.dims.width
    y = resize.unshuffle(x, self.dims.unshuffle).astype(rt.dtype)
    y = rt.shard(_conv(rt, width, "embed")(y))
    skips = []
    for level in range(LEVELS - 1):
      y = self._blocks(y, z, level=level, name=f"encoder{level}")
      skips.append(y)
      y = _conv(rt, y.shape[-1] // 2, f"down{level}")(y)
      y = resize.unshuffle(y, 2)
    y = self._blocks(y, z, level=LEVELS - 1, name="middle")
    for level in reversed(range(LEVELS - 1)):
      y = _conv(rt, 2 * y.shape[-1], f"up{level}")(y)
      y = jnp.concatenate([resize.shuffle(y, 2), skips[level]], axis=-1)
      if level:  # the finest stays at twice its channels
        y = _point(rt, y.shape[-1] // 2, f"reduce{level}")(y)
      y = self._blocks(y, z, level=level, name=f"decoder{level}")
    if self.dims.refinement:
      y = self._blocks(y, z, level=0, name="refinement")
    known = x[..., : self.out].astype(jnp.float32)
    known = einops.repeat(
      known, "b h w c -> b (h p) (w q) c", p=self.scale, q=self.scale
    )
    return self._tail(y).astype(jnp.float32) + known

  def _blocks(self, x, z, *, level, name):
    dims = self.dims
    depth = dims.refinement if name == "refinement" else dims.blocks[level]
    make = functools.partial(
      Block,
      heads=dims.heads[level],
      ratio=dims.ratio,
      norm=dims.norm,
      rt=self.rt,
      parent=None,
    )
    return stack.Stack(make, depth, self.rt, name=name)(x, cond=z)[0]

  def _tail(self, y):
    """Features to pixels, twice the side as often as it takes."""
    rt, side = self.rt, self.scale * self.dims.unshuffle
    if side == 1:
      return _conv(rt, self.out, "out")(y)
    for i in range(side.bit_length() - 1):
      y = _conv(rt, 4 * y.shape[-1], f"grow{i}", bias=True)(y)
      y = rt.shard(resize.shuffle(y, 2))
    return _conv(rt, self.out, "out", bias=True)(y)
