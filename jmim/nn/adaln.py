"""Conditioned transformer blocks and the embeddings of time and label.

adaLN-Zero: Peebles and Xie 2023 (DiT). The token block and its conditioning:
Hansen-Estruch et al. 2024 (UMD).
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import ad_checkpoint

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import dense
from jmim.nn import mlp
from jmim.nn import norm
from jmim.nn import posemb
from jmim.nn import qkv

ZEROS = nn.initializers.zeros


def modulate(
  x: jax.Array, shift: jax.Array | None, scale: jax.Array
) -> jax.Array:
  """x (1 + scale) + shift; x [b, t, w], scale and shift (or None) [b, w]."""
  scaled = x * (1 + scale[:, None])
  return scaled if shift is None else scaled + shift[:, None]


def last(rt: runtime.Runtime, x: jax.Array, cond: jax.Array) -> jax.Array:
  """What follows the norm after the last block: `modulate`, nothing at first.

  Declares the map "modulation" in the module that calls it.

  Args:
    rt: execution choices.
    x: [b, t, w], normed.
    cond: [b, c], already through its activation.

  Returns:
    [b, t, w].
  """
  mods = dense.dense(rt, 2 * x.shape[-1], kernel_init=ZEROS, name="modulation")
  return modulate(x, *jnp.split(mods(cond), 2, axis=-1))


def single(module: nn.Module, rows: int, cond: jax.Array) -> jax.Array:
  """[rows, b, w] modulations of adaLN-single (PixArt-alpha, Chen et al. 2024).

  cond plus a table of its own, of deviation 1 / sqrt(w) at first.

  Args:
    module: where the parameter "table" [rows, w] is declared.
    rows: shift, scale and gate, say, are three.
    cond: [b, rows, w], or [b, 1, w] for all of them.
  """
  width = cond.shape[-1]
  init = nn.initializers.normal(width**-0.5)
  table = module.param("table", init, (rows, width)).astype(cond.dtype)
  return jnp.swapaxes(cond + table, 0, 1)


def bare_norm(
  rt: runtime.Runtime, name: str, affine: bool, rms: bool = False
) -> norm.LayerNorm | nn.RMSNorm:
  """LayerNorm, eps 1e-6, with or without scale and bias; or RMSNorm."""
  if rms:
    return norm.rms_norm(rt, name)
  return norm.layer_norm(rt, name, affine=affine)


class AdaBlock(nn.Module, kw_only=True):
  """x + gate attention(mod(LN x)), then the same with the MLP (adaLN-Zero).

  Attributes:
    heads: attention heads.
    mlp_ratio: hidden width of the MLP over the width.
    affine: LayerNorms have scale and bias (UMD) or not (DiT).
    separate: q, k, v are initialised as three matrices (UMD).
    rt: execution choices.
    qk_norm: norm of q and k, see `attention.SelfAttention`.
    qk_eps: of that norm.
    shift: modulations are scale and shift; else scale only.
    rms: RMSNorm with a scale in place of LayerNorm.
    swiglu: `mlp.SwiGLU` with biases in place of the MLP.
    ffn: makes another network in place of the MLP, (x, taps) -> (y, found),
      from the keyword arguments `rt` and `name`; with a mask it is given
      `valid`.
    act: activation of the MLP, see `mlp.MLP`.
    attn: makes another self-attention, (x, taps) -> (y, found), from the
      keyword arguments `heads`, `rt` and `name`.
    between: makes what stands between attention and MLP, (x, context) -> x,
      from `heads`, `rt` and `name`.
  """

  heads: int
  mlp_ratio: float = 4.0
  affine: bool = False
  separate: bool = False
  rt: runtime.Runtime = runtime.Runtime()
  qk_norm: bool | str = False
  qk_eps: float = 1e-6
  shift: bool = True
  rms: bool = False
  swiglu: bool = False
  ffn: Callable[..., nn.Module] | None = None
  act: str = "gelu_tanh"
  attn: Callable[..., nn.Module] | None = None
  between: Callable[..., nn.Module] | None = None

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    cond: jax.Array,
    context: jax.Array | None = None,
    rotary: jax.Array | None = None,
    mask: jax.Array | None = None,
    taps: tuple[str, ...] = (),
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, t, w] -> [b, t, w] and the taps asked for.

    Args:
      x: tokens.
      cond: [b, c] conditioning, already through its SiLU.
      context: [b, s, w] that `between` reads.
      rotary: angles of the tokens, see `attention.SelfAttention`.
      mask: [b, t] bool, True = a token that the others may attend to.
      taps: "block" (the output), those of `attention.SelfAttention`, or those
        of `ffn`.
    """
    width = x.shape[-1]
    mods = self._modulation(cond, width)
    (shift1, scale1, gate1), (shift2, scale2, gate2) = mods
    inner = tuple(t for t in taps if t in attention.TAPS)
    normed = lambda name: bare_norm(self.rt, name, self.affine, self.rms)
    y = modulate(normed("norm1")(x), shift1, scale1)
    y, found = self._attention(y, taps=inner, rotary=rotary, mask=mask)
    x = self.rt.shard(x + gate1[:, None] * y)
    if self.between is not None:
      told = self.between(heads=self.heads, rt=self.rt, name="cross")
      x = told(x, context)
    x = ad_checkpoint.checkpoint_name(x, "middle")
    y = modulate(normed("norm2")(x), shift2, scale2)
    hidden = int(width * self.mlp_ratio)
    if self.swiglu:
      y = mlp.SwiGLU(
        hidden=int(2 / 3 * hidden), rt=self.rt, bias=True, name="mlp"
      )(y)
    elif self.ffn is None:
      y = mlp.MLP(hidden=hidden, rt=self.rt, act=self.act, name="mlp")(y)
    else:
      outer = tuple(t for t in taps if t not in (*inner, "block"))
      valid = {} if mask is None else {"valid": mask}
      y, more = self.ffn(rt=self.rt, name="ffn")(y, outer, **valid)
      found |= more
    x = self.rt.shard(x + gate2[:, None] * y)
    return x, {t: x if t == "block" else found[t] for t in taps}

  def _attention(self, x, taps, **more):
    """(y [b, t, w], taps) of the block's own attention, or of another's."""
    how = dict(heads=self.heads, rt=self.rt, name="attn")
    if self.attn is not None:
      return self.attn(**how)(x, taps)
    if self.separate:
      how["qkv_init"] = qkv.separate_xavier
    norms = dict(qk_norm=self.qk_norm, qk_eps=self.qk_eps)
    return attention.SelfAttention(**how, **norms)(x, taps=taps, **more)

  def _modulation(self, cond, width):
    """(shift, scale, gate) [b, w] of attention and of the MLP."""
    each = 3 if self.shift else 2
    mods = dense.dense(
      self.rt, 2 * each * width, kernel_init=ZEROS, name="modulation"
    )(cond)
    parts = jnp.split(mods, 2 * each, axis=-1)
    none = [] if self.shift else [None]
    return none + parts[:each], none + parts[each:]


class TokenBlock(nn.Module):
  """A pre-norm block that sees the conditioning as one more token.

  The token is put first in every block and dropped after it (UMD).
  """

  heads: int
  mlp_ratio: float = 4.0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, x: jax.Array, *, cond: jax.Array, taps: tuple[str, ...] = ()
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, t, w] -> [b, t, w]; see `AdaBlock`, cond without SiLU."""
    x = jnp.concatenate([cond[:, None].astype(x.dtype), x], axis=1)
    inner = tuple(t for t in taps if t != "block")
    y, found = attention.SelfAttention(
      heads=self.heads,
      rt=self.rt,
      name="attn",
      qkv_init=qkv.separate_xavier,
    )(norm.layer_norm(self.rt, "norm1")(x), taps=inner)
    x = self.rt.shard(x + y)
    x = ad_checkpoint.checkpoint_name(x, "middle")
    hidden = int(x.shape[-1] * self.mlp_ratio)
    y = norm.layer_norm(self.rt, "norm2")(x)
    y = mlp.MLP(hidden=hidden, rt=self.rt, act="gelu_tanh", name="mlp")(y)
    x = self.rt.shard(x + y)[:, 1:]
    return x, {t: x if t == "block" else found[t] for t in taps}


class TimeEmbed(nn.Module, kw_only=True):
  """Sinusoid, linear, activation, linear: times [b] -> [b, width].

  Attributes:
    width: of the output.
    hidden: between the linear maps.
    waves: width of the sinusoid.
    order: see `posemb.sinusoid`.
    inclusive: see `posemb.sinusoid`.
    std: of the normal initialisation; 0: flax's default (LeCun).
    rt: execution choices.
    act: between the linear maps; SiLU in most.
    many: rows stay where they are, and kernels travel: where a chip has more
      rows than a kernel has (a time for each token).
  """

  width: int
  hidden: int
  waves: int = 256
  order: str = "cos_sin"
  inclusive: bool = False
  std: float = 0.02
  rt: runtime.Runtime = runtime.Runtime()
  act: Callable[[jax.Array], jax.Array] = nn.silu
  many: bool = False

  @nn.compact
  def __call__(self, t: jax.Array) -> jax.Array:
    """[b] -> [b, width]."""
    split = self.rt.shard if self.many else lambda x: x
    kw: dict[str, Any] = {}
    if self.std:
      kw["kernel_init"] = nn.initializers.normal(self.std)
    x = split(posemb.sinusoid(t, self.waves, self.order, self.inclusive))
    x = split(dense.dense(self.rt, self.hidden, name="fc1", **kw)(x))
    return split(
      dense.dense(self.rt, self.width, name="fc2", **kw)(self.act(x))
    )


def label_table(classes: int, width: int, rt: runtime.Runtime) -> nn.Embed:
  """classes + 1 rows, the last for "no label"."""
  init = nn.initializers.normal(0.02)
  return nn.Embed(
    classes + 1, width, dtype=rt.dtype, embedding_init=init, name="label_embed"
  )
