"""Multi-head attention with a choice of implementation, taps and biases."""

import dataclasses
import functools
import logging
from collections.abc import Callable
from typing import Any

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import ad_checkpoint

from jmim.core import runtime
from jmim.nn import attention_logits
from jmim.nn import dense
from jmim.nn import flash
from jmim.nn import posemb
from jmim.nn import qkv
from jmim.nn import recompute

IMPLEMENTATIONS = ("einsum", "xla", "cudnn", "flash")
TAPS = ("q", "k", "v", "attention", "lse")
Array = jax.Array
Some = Array | None
Edit = attention_logits.Edit
# (q, k, v) -> [b, h, t, d], and further taps.
Instead = Callable[..., tuple[Array, dict[str, Any]]]
_PLAIN = runtime.Runtime()


def by_einsum(rt: runtime.Runtime) -> runtime.Runtime:
  """`rt` with attention by einsum, which alone can be changed; logged once."""
  if rt.attention in IMPLEMENTATIONS[1:]:
    _say_einsum(rt.attention)
    return dataclasses.replace(rt, attention="einsum")
  return rt


@functools.cache
def _say_einsum(implementation):
  logging.getLogger("jmim").warning(
    "attention whose logits or weights a method changes runs as 'einsum', "
    "whatever hardware.attention (%r) says",
    implementation,
  )


def probabilities(
  q: Array,
  k: Array,
  bias: Array | None = None,
  mask: Array | None = None,
  *,
  dtype: Any = jnp.float32,
  edit: Edit | None = None,
) -> Array:
  """softmax(edit(q k^T / sqrt(d) + bias)), computed in float32.

  Args:
    q: [b, h, t, d].
    k: [b, g, s, d], of h or fewer heads, see `attention_logits.shared`.
    bias: broadcasts to [b, h, t, s]; added to the logits.
    mask: [b, s] bool, True = the key may be seen.
    dtype: of the result.
    edit: changes the logits last, after bias and mask; None: nothing does.

  Returns:
    [b, h, t, s]; of a query that sees no key 1 / s everywhere.
  """
  logits = attention_logits.logits(q, k, bias=bias, mask=mask, edit=edit)
  return recompute.softmax(logits, dtype)


def attend(
  q: Array,
  k: Array,
  v: Array,
  *,
  bias: Array | None = None,
  mask: Array | None = None,
  edit: Edit | None = None,
  drop: Edit | None = None,
  rt: runtime.Runtime = _PLAIN,
) -> Array:
  """softmax(edit(q k^T / sqrt(d) + bias)) v, the softmax in float32.

  Args:
    q: [b, h, t, d].
    k: [b, g, s, d], of h or fewer heads, see `attention_logits.shared`.
    v: [b, g, s, d].
    bias: broadcasts to [b, h, t, s]; added to the logits.
    mask: [b, s] bool, True = the key may be seen.
    edit: see `probabilities`; runs by einsum whatever `rt` says.
    drop: changes the probabilities (dropout); runs by einsum, too.
    rt: its `attention` is "einsum" (ours; fastest on CPU), "xla" or "cudnn"
      (both `jax.nn.dot_product_attention`; cudnn is flash attention and wants
      bf16 or f16 on a GPU), or "flash" (TPUs, see `nn.flash`).

  Returns:
    [b, h, t, d] in the dtype of v.

  Raises:
    ValueError: on an unknown implementation.
  """
  implementation = rt.attention
  if implementation not in IMPLEMENTATIONS:
    raise ValueError(f"attention {implementation!r} not in {IMPLEMENTATIONS}")
  if edit is not None or drop is not None:
    implementation = by_einsum(rt).attention
  if implementation == "einsum":
    p = probabilities(q, k, bias, mask, dtype=v.dtype, edit=edit)
    (v,) = attention_logits.shared(q.shape[1], v)
    return jnp.einsum("bhts,bhsd->bhtd", p if drop is None else drop(p), v)
  if implementation == "flash":
    k, v = attention_logits.shared(q.shape[1], k, v)
    return flash.attend(rt, q, k=k, v=v, bias=bias, mask=mask)
  q, k, v = (einops.rearrange(a, "b h t d -> b t h d") for a in (q, k, v))
  if bias is not None:
    bias = bias.astype(q.dtype)
  mask = None if mask is None else mask[:, None, None, :]
  call = jax.nn.dot_product_attention
  out = call(q, k, v, bias, mask, implementation=implementation)
  return einops.rearrange(out, "b t h d -> b h t d")


class Attend(nn.Module, kw_only=True):
  """`attend` under a name, to be hooked (`nn.hooks`); without parameters.

  Attributes:
    rt: execution choices.
  """

  rt: runtime.Runtime = _PLAIN

  def __call__(self, q: Array, k: Array, v: Array, **more: Any) -> Array:
    """[b, h, t, d], [b, g, s, d] twice -> [b, h, t, d]; more: of `attend`."""
    return attend(q, k, v, rt=self.rt, **more)


class SelfAttention(nn.Module, kw_only=True):
  """Fused-qkv self-attention; qkv columns ordered (q, k, v), head, dim.

  Attributes:
    heads: attention heads.
    qkv_bias: True: bias on q, k and v; "qv": on q and v only, as parameters
      of their own; False: none.
    rt: execution choices.
    cosine: logits e^min(s, ln 100) cos(q, k) with a learned s per head that
      starts at ln 10 (Swin V2, VideoMAE V2).
    qkv_init: of the [w, 3w] kernel; Xavier over all of it in MAE and DiT.
    proj_init: of the [w, w] kernel of the output.
    qk_norm: LayerNorm of each head's q and k (ViT-22B); "rms": RMSNorm.
    qk_eps: of that norm.
    proj_bias: of the output.
    rotary_widths: of the axes' slices of a head, see `posemb.rotate`.
  """

  heads: int
  qkv_bias: bool | str = True
  rt: runtime.Runtime = runtime.Runtime()
  cosine: bool = False
  qkv_init: nn.initializers.Initializer = nn.initializers.xavier_uniform()
  proj_init: nn.initializers.Initializer = nn.initializers.xavier_uniform()
  qk_norm: bool | str = False
  qk_eps: float = 1e-6
  proj_bias: bool = True
  rotary_widths: tuple[int, ...] = ()

  @nn.compact
  def __call__(
    self,
    x: Array,
    *,
    bias: Some = None,
    mask: Some = None,
    rotary: Some = None,
    edit: Edit | None = None,
    drop: Edit | None = None,
    instead: Instead | None = None,
    taps: tuple[str, ...] = (),
  ) -> tuple[Array, dict[str, Any]]:
    """[b, t, w] -> [b, t, w] and the requested taps.

    Args:
      x: [b, t, w]; w must divide by the number of heads.
      bias: broadcasts to [b, h, t, t].
      mask: [b, t] bool, True = may be attended to.
      rotary: [1 or b, n, d/2] angles of the last n tokens, or of each head,
        see `posemb.rotate`; after the norm of q and k.
      edit: changes the logits [b, h, t, t], see `probabilities`.
      drop: changes the probabilities, see `attend`; not those tapped.
      instead: of `attend`; it is given neither bias, mask, edit nor drop.
      taps: any of "q", "k", "v" ([b, h, t, d]), "attention" ([b, h, t, t]
        float32 probabilities), "lse" ([b, h, t] float32: log of the sum of
        exp of a row's logits) and those of `instead`.
    """
    if (width := x.shape[-1]) % self.heads:
      raise ValueError(f"width {width} does not divide by {self.heads} heads")
    q, k, v = qkv.Qkv(
      heads=self.heads,
      use_bias=self.qkv_bias is True,
      kernel_init=self.qkv_init,
      rt=self.rt,
      name="qkv",
    )(x, qkv.value_query_bias(self, width) if self.qkv_bias == "qv" else None)
    if self.cosine:
      q, k = qkv.cosine(self, self.heads, q=q, k=k)
    if self.qk_norm:
      q, k = qkv.normed(self.rt, self.qk_norm, eps=self.qk_eps, q=q, k=k)
    if rotary is not None:
      q, k = (posemb.rotate(a, rotary, self.rotary_widths) for a in (q, k))
    seen = dict(bias=bias, mask=mask, edit=edit)
    own = Attend(rt=self.rt, name="attend")
    attended = lambda *qkv: (own(*qkv, **seen, drop=drop), {})
    y, found = (instead or attended)(q, k, v)
    y = einops.rearrange(self.rt.shard_dim(y, 1), "b h t d -> b t (h d)")
    y = ad_checkpoint.checkpoint_name(y, "attention")
    tapped = {"q": q, "k": k, "v": v, **found}
    if "attention" in taps:
      tapped["attention"] = probabilities(q, k, **seen)
    if "lse" in taps:
      tapped["lse"] = attention_logits.log_sum_exp(q, k, **seen)
    kw = dict(use_bias=self.proj_bias, kernel_init=self.proj_init)
    proj = dense.dense(self.rt, width, name="proj", **kw)
    return proj(y), {t: tapped[t] for t in taps}


class CrossAttention(nn.Module, kw_only=True):
  """Attention of x to other tokens; separate q, k and v.

  Attributes:
    heads: attention heads.
    qkv_bias: True: bias on q, k and v; "qv": on q and v only; False: none.
    init_scale: of the variance of the q, k and v kernels over Xavier's; 0.5
      is Xavier of the three packed in one matrix (torch).
    rt: execution choices.
    inner: width of q, k and v, of all heads; 0: that of x.
    proj_init: of the kernel of the output.
    proj_bias: of the output.
    kv_heads: of keys and values; each serves heads / kv_heads of the queries,
      one after the other. 0: heads.
    qk_norm: as in `SelfAttention`.
    qk_eps: of that norm.
  """

  heads: int
  qkv_bias: bool | str = True
  init_scale: float = 1.0
  rt: runtime.Runtime = runtime.Runtime()
  inner: int = 0
  proj_init: nn.initializers.Initializer = nn.initializers.xavier_uniform()
  proj_bias: bool = True
  kv_heads: int = 0
  qk_norm: bool | str = False
  qk_eps: float = 1e-6

  @nn.compact
  def __call__(
    self,
    x: Array,
    keys: Array,
    values: Some = None,
    bias: Some = None,
    mask: Some = None,
  ) -> Array:
    """[b, t, w] -> [b, t, w].

    Args:
      x: [b, t, w] tokens, of which the queries are made.
      keys: [b, s, e] tokens that are attended to.
      values: [b, s, e] tokens that are read; None: the keys.
      bias: broadcasts to [b, h, t, s]; added to the logits.
      mask: [b, s] bool, True = the key may be seen, see
        `attention_logits.prefix`.
    """
    width = x.shape[-1]
    values = keys if values is None else values
    init = nn.initializers.variance_scaling
    groups = self.kv_heads or self.heads

    def project(tokens, name, heads):
      y = dense.dense(
        self.rt,
        (self.inner or width) // self.heads * heads,
        use_bias=self.qkv_bias is True or self.qkv_bias == "qv" and name != "k",
        kernel_init=init(self.init_scale, "fan_avg", "uniform"),
        name=name,
      )(tokens)
      return einops.rearrange(y, "b t (h d) -> b h t d", h=heads)

    q, k = project(x, "q", self.heads), project(keys, "k", groups)
    v = project(values, "v", groups)
    if self.qk_norm:
      q, k = qkv.normed(self.rt, self.qk_norm, eps=self.qk_eps, q=q, k=k)
    y = Attend(rt=self.rt, name="attend")(q, k, v, bias=bias, mask=mask)
    y = einops.rearrange(y, "b h t d -> b t (h d)")
    kw = dict(use_bias=self.proj_bias, kernel_init=self.proj_init)
    return dense.dense(self.rt, width, name="proj", **kw)(y)
