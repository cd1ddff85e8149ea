"""Blocks of a DiT that is told a text (MicroDiT, Sehwag et al. 2025).

    x = x + g1 attention(mod1(LN x))
    x = x + cross(LN x, told)           without gate and modulation
    x = x + g2 FFN(mod2(LN x))

The queries and keys of all heads together are normed as one vector without
scale or shift; norms of the stream have a scale, and no shift. Blocks of
different widths inside are different modules, each with a name of its own.
Letters: b batch, t tokens, l tokens of the text, w width.
"""

from typing import Any

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import ad_checkpoint

from jmim.core import runtime
from jmim.nn import adaln
from jmim.nn import attention
from jmim.nn import dense
from jmim.nn import expert_choice
from jmim.nn import mlp
from jmim.nn import norm
from jmim.nn import qkv
from jmim.nn import recompute

NORMAL = nn.initializers.normal(0.02)
ZEROS = nn.initializers.zeros


def inner_width(width: int, ratio: float, head: int) -> int:
  """Width of q, k and v: `width`, or an even number of heads near its share.

  Args:
    width: of the stream.
    ratio: share of it; 1: all of it, whatever it is.
    head: width of a head.
  """
  if ratio == 1:
    return width
  return 2 * head * -(-int(width * ratio) // (2 * head))


def hidden_width(
  width: int, ratio: float, multiple: int, gated: bool = True
) -> int:
  """Hidden width of a feed-forward network, rounded up.

  Args:
    width: of the stream.
    ratio: of the hidden width to it.
    multiple: of which the result is one.
    gated: of a SwiGLU, two thirds, so that three matrices cost what two do.
  """
  hidden = int(width * ratio)
  hidden = int(2 * hidden / 3) if gated else hidden
  return multiple * -(-hidden // multiple)


def scale_norm(rt: runtime.Runtime, name: str) -> norm.LayerNorm:
  """LayerNorm, eps 1e-6, with a scale and no shift."""
  return norm.LayerNorm(dtype=rt.dtype, use_bias=False, name=name)


class WideAttention(nn.Module, kw_only=True):
  """Attention whose q and k are normed over all heads.

  Attributes:
    inner: width of q, k and v, of all heads.
    head: width of a head.
    bias: the linear maps have biases.
    out_init: of the output's kernel.
    rt: execution choices.
  """

  inner: int
  head: int
  bias: bool = False
  out_init: nn.initializers.Initializer = NORMAL
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, told: jax.Array | None = None) -> jax.Array:
    """[b, t, w] -> [b, t, w].

    Args:
      x: tokens that ask.
      told: [b, l, w] tokens that answer; None: x.
    """
    rt, width, heads = self.rt, x.shape[-1], self.inner // self.head
    if told is None:
      q, k, v = qkv.Qkv(
        heads=heads,
        use_bias=self.bias,
        kernel_init=NORMAL,
        rt=rt,
        inner=self.inner,
        name="qkv",
      )(x)
    else:
      split = dict(pattern="b t (h d) -> b h t d", h=heads)
      q = einops.rearrange(self._linear(self.inner, "q")(x), **split)
      k = einops.rearrange(self._linear(self.inner, "k")(told), **split)
      v = einops.rearrange(self._linear(self.inner, "v")(told), **split)
    q, k = self._whole(q, "q_norm"), self._whole(k, "k_norm")
    y = attention.Attend(rt=rt, name="attend")(q, k, v)
    y = einops.rearrange(rt.shard_dim(y, 1), "b h t d -> b t (h d)")
    y = ad_checkpoint.checkpoint_name(y, "attention")
    return self._linear(width, "proj", self.out_init)(y)

  def _linear(self, features, name, init=NORMAL):
    kw: dict[str, Any] = dict(use_bias=self.bias, kernel_init=init, name=name)
    return dense.dense(self.rt, features, **kw)

  def _whole(self, x, name):
    """[b, h, t, d] normed over heads and their widths."""
    y = einops.rearrange(x, "b h t d -> b t (h d)")
    y = norm.layer_norm(self.rt, name, affine=False)(y)
    return einops.rearrange(y, "b t (h d) -> b h t d", h=x.shape[1])


class CrossBlock(nn.Module, kw_only=True):
  """The block above.

  Attributes:
    inner: width of q, k and v of its self-attention.
    head: width of a head.
    hidden: hidden width of its feed-forward network.
    experts: that choose their tokens, in place of a SwiGLU; 0: none.
    capacity: of these experts.
    bias: linear maps of attention and SwiGLU have biases.
    std: of the kernels that write into the stream.
    rt: execution choices.
  """

  inner: int
  head: int
  hidden: int
  experts: int = 0
  capacity: float = 0.0
  bias: bool = False
  std: float = 0.02
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, x: jax.Array, *, cond: jax.Array, told: jax.Array
  ) -> jax.Array:
    """[b, t, w] -> [b, t, w].

    Args:
      x: tokens.
      cond: [b, c] conditioning, already through its activation.
      told: [b, l, w] tokens of the text.
    """
    rt, width = self.rt, x.shape[-1]
    mods = dense.dense(rt, 6 * width, kernel_init=ZEROS, name="modulation")
    parts = jnp.split(mods(cond), 6, axis=-1)
    shift1, scale1, gate1, shift2, scale2, gate2 = parts
    kw = dict(
      head=self.head,
      bias=self.bias,
      out_init=nn.initializers.normal(self.std),
      rt=rt,
    )
    y = adaln.modulate(scale_norm(rt, "norm1")(x), shift1, scale1)
    y = WideAttention(inner=self.inner, name="attn", **kw)(y)
    x = rt.shard(x + gate1[:, None] * y)
    y = scale_norm(rt, "norm2")(x)
    x = x + WideAttention(inner=width, name="cross", **kw)(y, told)
    x = ad_checkpoint.checkpoint_name(rt.shard(x), "middle")
    y = adaln.modulate(scale_norm(rt, "norm3")(x), shift2, scale2)
    return rt.shard(x + gate2[:, None] * self._feed_forward(y))

  def _feed_forward(self, y):
    out_init = nn.initializers.normal(self.std)
    if not self.experts:
      return mlp.SwiGLU(
        hidden=self.hidden,
        rt=self.rt,
        bias=self.bias,
        inits=(NORMAL, out_init, out_init),
        name="mlp",
      )(y)
    return expert_choice.ExpertChoice(
      experts=self.experts,
      capacity=self.capacity,
      hidden=self.hidden,
      out_init=out_init,
      rt=self.rt,
      name="ffn",
    )(y)[0]


class TextBlock(nn.Module, kw_only=True):
  """x + attention(LN x), then x + SwiGLU(LN x); at first it changes nothing.

  Attributes:
    head: width of a head.
    hidden: hidden width of the SwiGLU.
    bias: linear maps have biases.
    rt: execution choices.
  """

  head: int
  hidden: int
  bias: bool = False
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, l, w] -> [b, l, w]."""
    rt = self.rt
    x = x + WideAttention(
      inner=x.shape[-1],
      head=self.head,
      bias=self.bias,
      out_init=ZEROS,
      rt=rt,
      name="attn",
    )(scale_norm(rt, "norm1")(x))
    y = scale_norm(rt, "norm2")(x)
    return x + mlp.SwiGLU(
      hidden=self.hidden,
      rt=rt,
      bias=self.bias,
      inits=(NORMAL, NORMAL, ZEROS),
      name="mlp",
    )(y)


class NormedMLP(nn.Module, kw_only=True):
  """Linear, tanh-GELU, norm, linear, all to one width.

  Attributes:
    width: of the output and of what is inside.
    rt: execution choices.
  """

  width: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., c] -> [..., width]."""
    rt, kw = self.rt, dict(kernel_init=NORMAL)
    y = dense.dense(rt, self.width, name="fc1", **kw)(x)
    y = scale_norm(rt, "norm")(recompute.gelu_tanh(y))
    return dense.dense(rt, self.width, name="fc2", **kw)(y)
