"""The pre-norm transformer block, with drop path and LayerScale."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn import attention
from jmim.nn import mlp
from jmim.nn import runtime


def layer_norm(
  rt: runtime.Runtime, name: str, eps: float = 1e-6
) -> nn.LayerNorm:
  """LayerNorm with float32 statistics and the two-pass variance."""
  return nn.LayerNorm(
    epsilon=eps, dtype=rt.dtype, use_fast_variance=False, name=name
  )


def drop_path_rates(rate: float, depth: int) -> np.ndarray:
  """[depth] rates rising linearly from 0 to `rate` (MAE fine-tuning)."""
  return np.linspace(0.0, rate, depth)


def drop_path_scales(
  key: jax.Array, rates: Sequence[float] | np.ndarray, batch: int
) -> jax.Array:
  """[layers, 2, b] factors of both residual branches: 0 or 1/(1 - rate)."""
  keep = 1.0 - jnp.asarray(rates, jnp.float32)[:, None, None]
  u = jax.random.uniform(key, (keep.shape[0], 2, batch))
  return (u < keep) / keep


class LayerScale(nn.Module):
  """Learned per-channel factor of a residual branch (CaiT)."""

  init: float

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., w] -> [..., w]."""
    shape = (x.shape[-1],)
    gamma = self.param("gamma", nn.initializers.constant(self.init), shape)
    return x * gamma.astype(x.dtype)


class Block(nn.Module):
  """x + s1 g1 attention(LN x), then x + s2 g2 MLP(LN x).

  Attributes:
    heads: attention heads.
    mlp_ratio: hidden width of the MLP over the width.
    layer_scale: initial LayerScale factor; 0: no LayerScale.
    qkv_bias: bias on q, k and v.
    rt: execution choices.
  """

  heads: int
  mlp_ratio: float = 4.0
  layer_scale: float = 0.0
  qkv_bias: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    drop: jax.Array | None = None,
    bias: jax.Array | None = None,
    mask: jax.Array | None = None,
    taps: tuple[str, ...] = (),
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, t, w] -> [b, t, w] and a dict of the taps asked for.

    Args:
      x: [b, t, w].
      drop: [2, b] factors of the two branches (`drop_path_scales`).
      bias: additive attention bias, broadcasts to [b, h, t, t].
      mask: [b, t] bool, True = may be attended to.
      taps: "block" (the output), or those of `attention.SelfAttention`.
    """

    def residual(y, branch):
      if self.layer_scale:
        y = LayerScale(self.layer_scale, name=f"ls{branch + 1}")(y)
      if drop is not None:
        y = y * drop[branch][:, None, None].astype(y.dtype)
      return y

    attn = attention.SelfAttention(
      self.heads, self.qkv_bias, self.rt, name="attn"
    )
    inner = tuple(t for t in taps if t != "block")
    y = layer_norm(self.rt, "norm1")(x)
    y, found = attn(y, bias=bias, mask=mask, taps=inner)
    x = self.rt.shard(x + residual(y, 0))
    hidden = int(x.shape[-1] * self.mlp_ratio)
    y = mlp.MLP(hidden, self.rt, name="mlp")(layer_norm(self.rt, "norm2")(x))
    x = self.rt.shard(x + residual(y, 1))
    return x, {t: x if t == "block" else found[t] for t in taps}
