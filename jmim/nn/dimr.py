"""Layers of DiMR: parameters that depend on time, norms and blocks.

Liu et al. 2024, section 3.3 and the released code (qihao067/DiMR@fa141ae). A
time-dependent parameter is four arrays of one shape, and at a time tau

    p(tau) = p1 + sigmoid((1 + slope) tau + offset) (p0 - p1)

in every element, one copy per example: with p0 = p1 it knows no time. A norm
of width w has 4 w or 8 w such numbers, where adaLN-zero has a map of w x 3 w.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import ad_checkpoint

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import axial
from jmim.nn import conv
from jmim.nn import dense
from jmim.nn import depthwise
from jmim.nn import mlp
from jmim.nn import norm
from jmim.nn import patch

NORMAL = nn.initializers.normal(0.02)
ZEROS, ONES = nn.initializers.zeros, nn.initializers.ones


def linear(
  rt: runtime.Runtime, width: int, name: str, bias: bool = True
) -> nn.Dense:
  """The linear map of every layer here: normal(0.02), bias 0."""
  return dense.dense(
    rt, width, use_bias=bias, kernel_init=NORMAL, bias_init=ZEROS, name=name
  )


def spread(p: jax.Array, like: jax.Array) -> jax.Array:
  """[b, w] -> [b, 1, .., w] beside an array [b, .., w]."""
  return p.reshape(len(p), *(1,) * (like.ndim - 2), -1)


class TimeParameter(nn.Module, kw_only=True):
  """A vector that depends on time, see above.

  Attributes:
    width: w, its numbers.
    start: initial p0 and p1, which begin equal if it is a constant.
  """

  width: int
  start: nn.initializers.Initializer

  @nn.compact
  def __call__(self, tau: jax.Array) -> jax.Array:
    """Times [b] of -1 .. 1 -> [b, w] float32."""
    get = lambda name, init: self.param(name, init, (self.width,))
    p0, p1 = get("p0", self.start), get("p1", self.start)
    slope, offset = get("slope", ZEROS), get("offset", ZEROS)
    tau = tau.astype(jnp.float32)[:, None]
    return p1 + nn.sigmoid((1 + slope) * tau + offset) * (p0 - p1)


def _rms(x, within=0.0, beside=0.0):
  """x / (sqrt(mean x^2 + within) + beside) over channels, in float32."""
  x = x.astype(jnp.float32)
  square = jnp.square(x).mean(-1, keepdims=True)
  # The root of 0 has no gradient: so little does not change a float32.
  return x / (jnp.sqrt(square + max(within, 1e-30)) + beside)


class TDLayerNorm(nn.Module, kw_only=True):
  """LayerNorm, eps 1e-5, with gain and shift that depend on time."""

  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, tau: jax.Array) -> jax.Array:
    """[b, .., w] at times [b] -> [b, .., w]."""
    w, y = x.shape[-1], norm.whiten(x, 1e-5)
    scale = TimeParameter(width=w, start=ONES, name="scale")(tau)
    bias = TimeParameter(width=w, start=ZEROS, name="bias")(tau)
    return (spread(scale, x) * y + spread(bias, x)).astype(self.rt.dtype)


class TDRMSNorm(nn.Module, kw_only=True):
  """x / (root mean square + 1e-8) times a gain that depends on time."""

  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, tau: jax.Array) -> jax.Array:
    """[b, .., w] at times [b] -> [b, .., w]."""
    make = TimeParameter(width=x.shape[-1], start=ONES, name="scale")
    return (spread(make(tau), x) * _rms(x, beside=1e-8)).astype(self.rt.dtype)


class RMSNorm(nn.Module, kw_only=True):
  """The same with a gain that knows no time."""

  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, tau: jax.Array) -> jax.Array:
    """[b, .., w], and times that are not read -> [b, .., w]."""
    del tau
    scale = self.param("scale", ONES, (x.shape[-1],))
    return (scale * _rms(x, beside=1e-8)).astype(self.rt.dtype)


class ClassRMSNorm(nn.Module, kw_only=True):
  """RMSNorm, eps 1e-6, of gain 1 + W c: c is the first of the tokens.

  That is the class token, as it has become. A map has none: there each column
  is told its first row, as in the released code.
  """

  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, tau: jax.Array) -> jax.Array:
    """[b, .., w], and times that are not read -> [b, .., w]."""
    del tau
    told = dense.dense(
      self.rt, x.shape[-1], use_bias=False, kernel_init=ZEROS, name="told"
    )(x[:, :1])
    gain = 1 + told.astype(jnp.float32)
    return (gain * _rms(x, within=1e-6)).astype(self.rt.dtype)


class AdaLayerNorm(nn.Module, kw_only=True):
  """LayerNorm without parameters, told a scale and a shift (adaLN)."""

  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, cond: jax.Array) -> jax.Array:
    """[b, .., w], and what is told [b, e] -> [b, .., w]."""
    w = x.shape[-1]
    mods = dense.dense(self.rt, 2 * w, kernel_init=ZEROS, name="modulation")
    shift, scale = jnp.split(spread(mods(cond), x), 2, axis=-1)
    y = norm.layer_norm(self.rt, "norm", affine=False)(x)
    return y * (1 + scale) + shift


# Of blocks; "adaln" is DiT's, to compare with, the others are in DiMR's code.
NORMS: dict[str, Callable[..., nn.Module]] = {
  "td_rms": TDRMSNorm,
  "td_layer": TDLayerNorm,
  "rms": RMSNorm,
  "class_rms": ClassRMSNorm,
  "adaln": AdaLayerNorm,
}


def outer_norm(kind: str, rt: runtime.Runtime, name: str) -> nn.Module:
  """The norm outside of blocks: time-dependent whatever blocks have."""
  return (AdaLayerNorm if kind == "adaln" else TDLayerNorm)(rt=rt, name=name)


class GatedMLP(nn.Module, kw_only=True):
  """W_down(gelu(W_gate x) * W_up x), exact GELU; all have biases.

  Attributes:
    hidden: width inside.
    rt: execution choices.
  """

  hidden: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., w] -> [..., w]."""
    y = mlp.ACTIVATIONS["gelu"](linear(self.rt, self.hidden, "gate")(x))
    y = y * linear(self.rt, self.hidden, "up")(x)
    y = ad_checkpoint.checkpoint_name(self.rt.shard_dim(y, -1), "hidden")
    return linear(self.rt, x.shape[-1], "down")(y)


class Block(nn.Module, kw_only=True):
  """x + attention(norm x), or x + depthwise(x); then x + MLP(norm x).

  A layer of `nn.stack.Stack`; its tap "block" is its output.

  Attributes:
    hidden: width inside the MLP.
    heads: attention heads of a block on tokens.
    kernel: side of the convolution of a block on maps; 0: attention.
    joins: it begins with a linear map of [x, skip].
    rotary: (h, w) of the last tokens, which `axial.AxialRotary` turns; logits
      are cosines times a learned scale then. None: plain attention.
    norm: one of NORMS; with "adaln" both branches on norms have gates.
    rt: execution choices.
  """

  hidden: int
  heads: int = 1
  kernel: int = 0
  joins: bool = False
  rotary: tuple[int, int] | None = None
  norm: str = "td_rms"
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, x: jax.Array, *, cond: jax.Array, skip: jax.Array | None = None
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Tokens [b, t, w] or maps [b, h, w, c] to the same.

    Args:
      x: what comes from the block before.
      cond: times [b] of -1 .. 1, or with "adaln" [b, e].
      skip: like x, from an earlier block; None: x, to make parameters.
    """
    if self.joins:
      both = jnp.concatenate([x, x if skip is None else skip], axis=-1)
      x = linear(self.rt, x.shape[-1], "join")(both)
    mixed = self._convolved(x) if self.kernel else self._attended(x, cond)
    x = self.rt.shard(x + mixed)
    x = ad_checkpoint.checkpoint_name(x, "middle")
    y = NORMS[self.norm](rt=self.rt, name="norm2")(x, cond)
    y = GatedMLP(hidden=self.hidden, rt=self.rt, name="mlp")(y)
    x = self.rt.shard(x + self._gated(y, cond, "gate2"))
    return x, {"block": x}

  def _gated(self, y, cond, name):
    if self.norm != "adaln":
      return y
    gate = dense.dense(self.rt, y.shape[-1], kernel_init=ZEROS, name=name)
    return y * spread(gate(cond), y)

  def _convolved(self, x):
    return depthwise.Depthwise(
      side=self.kernel,
      kernel_init=conv.TORCH,
      bias_init=patch.conv_bias_init(self.kernel**2),
      rt=self.rt,
      name="depthwise",
    )(x)

  def _attended(self, x, cond):
    y, angles = NORMS[self.norm](rt=self.rt, name="norm1")(x, cond), None
    if self.rotary:
      head = x.shape[-1] // self.heads
      angles = axial.AxialRotary(
        heads=self.heads, head=head, grid=self.rotary, name="rotary"
      )()
    attend = attention.SelfAttention(
      heads=self.heads,
      qkv_bias=False,
      rt=self.rt,
      cosine=bool(self.rotary),
      qkv_init=NORMAL,
      proj_init=NORMAL,
      name="attn",
    )
    y, _ = attend(y, rotary=angles)
    return self._gated(y, cond, "gate1")
