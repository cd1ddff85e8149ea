"""What follows the encoder of CAE: bridge, regressor, decoder.

Letters: b batch, n patches, k visible, m hidden, w width.
"""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import block
from jmim.nn import mlp
from jmim.nn import norm as norms
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn import stack


class RegressorBlock(nn.Module, kw_only=True):
  """Mask queries attend to visible latents and to each other (CAE).

  kv = visible ++ x;  x <- x + g1 Cross(LNq(x + pos_m), LNk(kv + pos), LNv(kv));
  x <- LN2(x);  x <- x + g2 MLP(x).

  Attributes:
    heads: attention heads.
    mlp_ratio: hidden width of the MLP over the width.
    layer_scale: initial g; 0: none.
    rt: execution choices.
  """

  heads: int
  mlp_ratio: float = 4.0
  layer_scale: float = 0.1
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    visible: jax.Array | None = None,
    positions: jax.Array | None = None,
  ) -> tuple[jax.Array, dict]:
    """[b, m, w] -> [b, m, w].

    Args:
      x: [b, m, w] queries.
      visible: [b, k, w] latents; None (shapes only): none.
      positions: [b, k + m, w] of visible, then of x; None: zeros.
    """
    visible = x[:, :0] if visible is None else visible
    kv = jnp.concatenate([visible, x], axis=1)
    if positions is None:
      positions = jnp.zeros_like(kv)

    def scaled(y, i):
      if not self.layer_scale:
        return y
      return block.LayerScale(self.layer_scale, name=f"ls{i}")(y)

    norm = functools.partial(norms.layer_norm, self.rt)
    attend = attention.CrossAttention(
      heads=self.heads, qkv_bias="qv", rt=self.rt, name="cross"
    )
    y = attend(
      norm("norm_q")(x + positions[:, visible.shape[1] :]),
      norm("norm_k")(kv + positions),
      norm("norm_v")(kv),
    )
    # The second residual starts from the normalised x (released code).
    x = norm("norm2")(x + scaled(y, 1))
    hidden = int(x.shape[-1] * self.mlp_ratio)
    y = mlp.MLP(hidden=hidden, rt=self.rt, name="mlp")(x)
    return self.rt.shard(x + scaled(y, 2)), {}


class Regressor(nn.Module):
  """Latents of hidden patches from those of visible ones (CAE).

  Attributes:
    size: width, depth, heads, MLP ratio.
    layer_scale: initial LayerScale factor; 0: none.
    rt: execution choices.
  """

  size: sizes.Size
  layer_scale: float = 0.1
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, visible: jax.Array, positions: jax.Array, hidden: int
  ) -> jax.Array:
    """[b, k, w], positions [b, k + m, w], m = hidden -> [b, m, w]."""
    b, _, width = visible.shape
    token = self.param(
      "mask_token", nn.initializers.normal(0.02), (1, 1, width)
    )
    x = jnp.broadcast_to(token.astype(visible.dtype), (b, hidden, width))
    make = functools.partial(
      RegressorBlock,
      heads=self.size.heads,
      mlp_ratio=self.size.mlp_ratio,
      layer_scale=self.layer_scale,
      rt=self.rt,
      parent=None,
    )
    blocks = stack.Stack(make, self.size.depth, self.rt, name="blocks")
    x, _ = blocks(self.rt.shard(x), visible=visible, positions=positions)
    return norms.layer_norm(self.rt, "norm")(x)


class LatentDecoder(nn.Module, kw_only=True):
  """Self-attention over predicted latents, LayerNorm, a linear head (CAE).

  Attributes:
    size: width, depth, heads, MLP ratio.
    out: outputs per token.
    layer_scale: initial LayerScale factor; 0: none.
    rt: execution choices.
  """

  size: sizes.Size
  out: int
  layer_scale: float = 0.1
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, m, w] -> [b, m, out] float32."""
    blocks = block.make_stack(
      self.size, self.rt, self.layer_scale, "blocks", qkv_bias="qv"
    )
    x, _ = blocks(self.rt.shard(x))
    x = norms.layer_norm(self.rt, "norm")(x)
    init = nn.initializers.xavier_uniform()
    dense = nn.Dense(
      self.out, dtype=self.rt.dtype, kernel_init=init, name="head"
    )
    return dense(x).astype(jnp.float32)


class Bridge(nn.Module):
  """Linear map and LayerNorm between networks of different widths (CAE).

  Attributes:
    width: of the output.
    rt: execution choices.
  """

  width: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., w] -> [..., width]."""
    init = nn.initializers.xavier_uniform()
    dense = nn.Dense(
      self.width, dtype=self.rt.dtype, kernel_init=init, name="map"
    )
    return norms.layer_norm(self.rt, "norm")(dense(x))


class RegressorDecoder(nn.Module, kw_only=True):
  """From latents of visible patches to latents and tokens of hidden ones.

  Attributes:
    size: of the regressor.
    decoder_depth: blocks of the decoder, which is as wide.
    grid: (h, w) in patches.
    out: tokens.
    layer_scale: initial LayerScale factor; 0: none.
    rt: execution choices.
  """

  size: sizes.Size
  decoder_depth: int
  grid: tuple[int, int]
  out: int
  layer_scale: float = 0.1
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    visible: jax.Array,
    hidden: jax.Array,
    visible_ids: jax.Array,
    hidden_ids: jax.Array,
  ) -> dict[str, jax.Array]:
    """pred and target [b, m, w], logits [b, m, out], all float32.

    Args:
      visible: [b, k, w_encoder] latents, without cls.
      hidden: [b, m, w_encoder] the encoder's own latents of hidden patches.
      visible_ids: [b, k] int32, patches of `visible`.
      hidden_ids: [b, m] int32, patches of `hidden`.
    """
    width = self.size.width
    if visible.shape[-1] != width:
      bridge = Bridge(width, self.rt, name="bridge")
      visible, hidden = bridge(visible), bridge(hidden)
    table = jnp.asarray(posemb.sincos_2d(width, self.grid, "yx"), visible.dtype)
    positions = table[jnp.concatenate([visible_ids, hidden_ids], axis=1)]
    regressor = Regressor(
      self.size, self.layer_scale, self.rt, name="regressor"
    )
    pred = regressor(visible, positions, hidden_ids.shape[1])
    decoder = LatentDecoder(
      size=dataclasses.replace(self.size, depth=self.decoder_depth),
      out=self.out,
      layer_scale=self.layer_scale,
      rt=self.rt,
      name="decoder",
    )
    return {
      "pred": pred.astype(jnp.float32),
      "target": jax.lax.stop_gradient(hidden).astype(jnp.float32),
      "logits": decoder(pred + table[hidden_ids]),
    }
