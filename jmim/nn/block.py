"""The pre-norm transformer block, with drop path and LayerScale."""

import functools
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import ad_checkpoint

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import dropout
from jmim.nn import mlp
from jmim.nn import norm
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn import stack


def drop_path_rates(rate: float, depth: int) -> np.ndarray:
  """[depth] rates that rise linearly from 0 to `rate` (MAE fine-tuning)."""
  return np.linspace(0.0, rate, depth)


def drop_path_scales(
  key: jax.Array, rates: Sequence[float] | np.ndarray, batch: int
) -> jax.Array:
  """[layers, 2, b] factors of both residual branches: 0 or 1/(1 - rate).

  Args:
    key: random key.
    rates: [layers] shares of the examples whose branch is dropped, below 1.
    batch: number of examples b.
  """
  keep = 1.0 - jnp.asarray(rates, jnp.float32)[:, None, None]
  u = jax.random.uniform(key, (keep.shape[0], 2, batch))
  return (u < keep) / keep


def drop_path_draw(
  key: jax.Array, rate: float, depth: int, batch: int, name: str = "drop"
) -> dict[str, jax.Array]:
  """{name: [b, layers, 2]} for a method's draws; {} if the rate is 0.

  Args:
    key: random key.
    rate: of the last block, see `drop_path_rates`.
    depth: number of layers.
    batch: number of examples b.
    name: of the draw, where a method has several stacks.
  """
  if not rate:
    return {}
  scales = drop_path_scales(key, drop_path_rates(rate, depth), batch)
  return {name: jnp.moveaxis(scales, -1, 0)}


def drop_path_draws(
  keys: Callable[[str], jax.Array],
  rate: float,
  depths: Mapping[str, int],
  batch: int,
) -> dict[str, jax.Array]:
  """{name: [b, layers, 2]} of several stacks, see `drop_path_draw`.

  Args:
    keys: name -> random key.
    rate: of the last block of each.
    depths: name -> number of layers.
    batch: number of examples b.
  """
  draws = {}
  for name, depth in depths.items():
    draws |= drop_path_draw(keys(name), rate, depth, batch, name=name)
  return draws


def drop_path_of(
  draws: dict[str, jax.Array], name: str = "drop"
) -> jax.Array | None:
  """[layers, 2, b] as stacks take it, from `drop_path_draw`; None: none."""
  return jnp.moveaxis(draws[name], 0, -1) if name in draws else None


class LayerScale(nn.Module):
  """Learned per-channel factor of a residual branch (CaiT)."""

  init: float

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., w] -> [..., w]."""
    shape = (x.shape[-1],)
    gamma = self.param("gamma", nn.initializers.constant(self.init), shape)
    return x * gamma.astype(x.dtype)


class Block(nn.Module, kw_only=True):
  """x + s1 g1 attention(LN x), then x + s2 g2 MLP(LN x).

  Attributes:
    heads: attention heads.
    mlp_ratio: hidden width of the MLP over the width.
    layer_scale: initial LayerScale factor; 0: no LayerScale.
    qkv_bias: bias on q, k and v; "qv": see `attention.SelfAttention`.
    rt: execution choices.
    act: activation of the MLP, see `mlp.ACTIVATIONS`; "swiglu": `mlp.SwiGLU`
      with biases in its place.
    eps: of the LayerNorms.
    cosine: cosine attention.
    window: (h, w) tokens with a relative position bias of this block; None:
      none. See `posemb.RelativeBias`, also for window_prefix, window_std.
    dropout: of both branches and of the MLP's hidden layer, where there are
      keys for it (timm's `proj_drop`).
  """

  heads: int
  mlp_ratio: float = 4.0
  layer_scale: float = 0.0
  qkv_bias: bool | str = True
  rt: runtime.Runtime = runtime.Runtime()
  act: str = "gelu"
  eps: float = 1e-6
  cosine: bool = False
  window: tuple[int, int] | None = None
  window_prefix: int = 0
  window_std: float = 0.0
  dropout: float = 0.0

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    drop: jax.Array | None = None,
    keys: jax.Array | None = None,
    index: jax.Array | int = 0,
    bias: jax.Array | None = None,
    mask: jax.Array | None = None,
    rotary: jax.Array | None = None,
    edit: attention.Edit | None = None,
    bias_of: Callable[[jax.Array], jax.Array] | None = None,
    taps: tuple[str, ...] = (),
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, t, w] -> [b, t, w] and a dict of the requested taps.

    Args:
      x: [b, t, w].
      drop: [2, b] factors of the two branches (`drop_path_scales`).
      keys: [b, 2] dropout keys (`nn.dropout`); None: no dropout.
      index: of the layer, for these keys.
      bias: additive attention bias, broadcasts to [b, h, t, t].
      mask: [b, t] bool, True = may be attended to.
      rotary: angles of the last tokens, see `attention.SelfAttention`.
      edit: changes the logits of attention, see `attention.probabilities`.
      bias_of: makes a further bias from the normed input [b, t, w] that
        attention reads; as `edit` it runs by einsum, in float32.
      taps: "block" (the output), "normed" (what attention reads, [b, t, w]),
        or those of `attention.SelfAttention`.
    """

    def dropped(y, site):
      return dropout.dropout(y, keys, self.dropout, 3 * index + site)

    def residual(y, branch):
      y = dropped(y, 2 * branch)
      if self.layer_scale:
        y = LayerScale(self.layer_scale, name=f"ls{branch + 1}")(y)
      if drop is not None:
        y = y * drop[branch][:, None, None].astype(y.dtype)
      return y

    attn = attention.SelfAttention(
      heads=self.heads,
      qkv_bias=self.qkv_bias,
      rt=self.rt if bias_of is None else attention.by_einsum(self.rt),
      cosine=self.cosine,
      name="attn",
    )
    if self.window is not None:
      relative = posemb.RelativeBias(
        heads=self.heads,
        grid=self.window,
        prefix=self.window_prefix,
        std=self.window_std,
        name="relative",
      )()
      bias = relative if bias is None else bias + relative
    tapped_inside = tuple(t for t in taps if t not in ("block", "normed"))
    normed = norm.layer_norm(self.rt, "norm1", self.eps)(x)
    if bias_of is not None:
      made = bias_of(normed)
      bias = made if bias is None else bias + made
    y, tapped = attn(
      normed, bias=bias, mask=mask, rotary=rotary, edit=edit, taps=tapped_inside
    )
    x = self.rt.shard(x + residual(y, 0))
    x = ad_checkpoint.checkpoint_name(x, "middle")
    hidden = int(x.shape[-1] * self.mlp_ratio)
    y = norm.layer_norm(self.rt, "norm2", self.eps)(x)
    if self.act == "swiglu":
      y = mlp.SwiGLU(hidden=hidden, rt=self.rt, bias=True, name="mlp")(y)
    else:
      inner = functools.partial(dropped, site=1)
      y = mlp.MLP(hidden=hidden, rt=self.rt, act=self.act, name="mlp")(y, inner)
    x = self.rt.shard(x + residual(y, 1))
    tapped |= {"block": x, "normed": normed}
    return x, {t: tapped[t] for t in taps}


def make_stack(
  size: sizes.Size,
  rt: runtime.Runtime,
  layer_scale: float = 0.0,
  name: str | None = None,
  **style: Any,
) -> stack.Stack:
  """The pre-norm blocks of a transformer, stacked.

  Args:
    size: depth, heads and MLP ratio; the width is that of the tokens.
    rt: execution choices.
    layer_scale: initial LayerScale factor; 0: no LayerScale.
    name: of the module; None where `setup` names it.
    **style: other options of `Block`.
  """
  make = functools.partial(
    Block,
    heads=size.heads,
    mlp_ratio=size.mlp_ratio,
    layer_scale=layer_scale,
    rt=rt,
    parent=None,
    **style,
  )
  return stack.Stack(make, size.depth, rt, name=name)
