"""A block of self-attention, attention to a context and an MLP.

Rombach et al. 2022 (CompVis/latent-diffusion@a506df5, `BasicTransformerBlock`);
the scale vectors are those of Xie et al. 2023, placed in Stable Diffusion by
mkshing/DiffFit-pytorch@78dc2d1:

    y <- y + a1 Self(LN y);  y <- y + a2 Cross(LN y, c);  y <- y + a3 MLP(LN y)
    q = gq (W x + b), k and v alike, and the attention gives go (W a + b)
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import dense
from jmim.nn import norm as norms

SCALES = ("block", "attention")
# (heads=, rt=, name=) -> a module, (tokens [b, n, c], keys [b, s, e]) -> [b, n,
# c], that stands where self-attention does.
SelfAttention = Callable[..., nn.Module]


def ones(module: nn.Module, name: str, width: int) -> jax.Array:
  """A learned vector [width] that starts at 1."""
  return module.param(name, nn.initializers.ones, (width,))


class ScaledAttention(nn.Module, kw_only=True):
  """`attention.CrossAttention` with a scale on each of its four maps.

  Attributes:
    heads: attention heads.
    qkv_bias: bias on q, k and v.
    rt: execution choices.
    inner: width of q, k and v, of all heads; 0: that of x.
  """

  heads: int
  qkv_bias: bool = False
  rt: runtime.Runtime = runtime.Runtime()
  inner: int = 0

  @nn.compact
  def __call__(self, x: jax.Array, keys: jax.Array) -> jax.Array:
    """x [b, t, w], keys [b, s, e] -> [b, t, w]."""
    width = x.shape[-1]

    inner = self.inner or width

    def scaled(y, name, scale, width, bias):
      init = nn.initializers.xavier_uniform()
      layer = dense.dense(
        self.rt, width, use_bias=bias, kernel_init=init, name=name
      )
      return layer(y) * ones(self, scale, width).astype(self.rt.dtype)

    q, k, v = (
      einops.rearrange(
        scaled(tokens, name, f"gamma_{name}", width=inner, bias=self.qkv_bias),
        "b t (h d) -> b h t d",
        h=self.heads,
      )
      for name, tokens in (("q", x), ("k", keys), ("v", keys))
    )
    y = attention.Attend(rt=self.rt, name="attend")(q, k, v)
    y = einops.rearrange(y, "b h t d -> b t (h d)")
    return scaled(y, "proj", "gamma_fnn", width=width, bias=True)


class Block(nn.Module, kw_only=True):
  """The block; all LayerNorms have scale and bias, eps 1e-5.

  Attributes:
    heads: attention heads.
    gated: the MLP is value * gelu(gate), the value first; else of one GELU.
    attention_bias: bias on q, k and v.
    scales: learned vectors, 1 at the start: "block", on what is added to the
      stream; "attention", on q, k, v and the output of both attentions.
    self_attention: stands where self-attention does; None: that one.
    suffix: of the names of all parameters.
    rt: execution choices.
    inner: width of q, k and v, of all heads; 0: that of the tokens.
  """

  heads: int
  gated: bool = True
  attention_bias: bool = False
  scales: Sequence[str] = ()
  self_attention: SelfAttention | None = None
  suffix: str = ""
  rt: runtime.Runtime = runtime.Runtime()
  inner: int = 0

  @nn.compact
  def __call__(
    self, x: jax.Array, context: jax.Array
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Tokens and context to tokens.

    Args:
      x: [b, n, c].
      context: [b, s, e].

    Returns:
      [b, n, c], and what "self", "cross" and "ff" gave before their scale.

    Raises:
      ValueError: scales that are not known.
    """
    if unknown := set(self.scales) - set(SCALES):
      raise ValueError(f"scales {sorted(unknown)}: known are {SCALES}")
    found = {}
    for n, name in enumerate(("self", "cross", "ff"), 1):
      z = norms.layer_norm(self.rt, self.named(f"norm{n}"), 1e-5)(x)
      if name == "ff":
        y = self._mlp(z)
      elif name == "self":
        y = self.attention(name)(z, z)
      else:
        y = self.cross(z, context)
      found[name] = y
      if "block" in self.scales:
        scale = ("attn1", "attn2", "ff")[n - 1]
        gamma = ones(self, self.named(f"gamma_{scale}"), x.shape[-1])
        y = y * gamma.astype(self.rt.dtype)
      x = x + y
      if name == "self":
        x = self.joined(x, context)
    return x, found

  def cross(self, z: jax.Array, context: Any) -> jax.Array:
    """What attention to the context gives."""
    return self.attention("cross")(z, context)

  def joined(self, x: jax.Array, context: Any) -> jax.Array:
    """What comes between self-attention and the context: here nothing."""
    del context
    return x

  def named(self, name: str) -> str:
    """A name of parameters."""
    return f"{name}{self.suffix}"

  def attention(self, name: str) -> nn.Module:
    """The module "self" or "cross"."""
    options = {"heads": self.heads, "rt": self.rt, "name": self.named(name)}
    if name == "self" and self.self_attention is not None:
      return self.self_attention(**options)
    options |= {"qkv_bias": self.attention_bias, "inner": self.inner}
    if "attention" in self.scales:
      return ScaledAttention(**options)
    return attention.CrossAttention(**options)

  def _mlp(self, z):
    """Four times as wide inside."""
    width = z.shape[-1]
    layer = lambda n, name: nn.Dense(
      n, dtype=self.rt.dtype, name=self.named(name)
    )
    z = layer(4 * width * (1 + self.gated), "fc1")(z)
    if self.gated:
      value, gate = jnp.split(z, 2, axis=-1)
      z = value * jax.nn.gelu(gate, approximate=False)
    else:
      z = jax.nn.gelu(z, approximate=False)
    return layer(width, "fc2")(z)
