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
import numpy as np
from jax import ad_checkpoint

from jmim.core import runtime
from jmim.nn import dense
from jmim.nn import flash
from jmim.nn import norm
from jmim.nn import posemb
from jmim.nn import qkv
from jmim.nn import recompute

IMPLEMENTATIONS = ("einsum", "xla", "cudnn", "flash")
TAPS = ("q", "k", "v", "attention")
# [b, h, t, s] float32 logits, bias and mask included -> changed ones.
Edit = Callable[[jax.Array], jax.Array]
Some = jax.Array | None
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
  q: jax.Array,
  k: jax.Array,
  bias: jax.Array | None = None,
  mask: jax.Array | None = None,
  *,
  dtype: Any = jnp.float32,
  edit: Edit | None = None,
) -> jax.Array:
  """softmax(edit(q k^T / sqrt(d) + bias)), computed in float32.

  Args:
    q: [b, h, t, d].
    k: [b, h, s, d].
    bias: broadcasts to [b, h, t, s]; added to the logits.
    mask: [b, s] bool, True = the key may be seen.
    dtype: of the result.
    edit: changes the logits last, after bias and mask; None: nothing does.

  Returns:
    [b, h, t, s]; of a query that sees no key 1 / s everywhere.
  """
  # (q / sqrt(d)) k^T, not (q k^T) / sqrt(d): [t, d] instead of [t, s] numbers,
  # which halves the time of the backward pass on CPU where heads are small.
  q = q * q.shape[-1] ** -0.5
  logits = jnp.einsum(
    "bhtd,bhsd->bhts", q, k, preferred_element_type=jnp.float32
  )
  if bias is not None:
    logits = logits + bias
  if mask is not None:
    # Not -inf: of a query that sees no key the softmax would be NaN.
    floor = jnp.finfo(jnp.float32).min
    logits = jnp.where(mask[:, None, None, :], logits, floor)
  if edit is not None:
    logits = edit(logits)
  return recompute.softmax(logits, dtype)


def attend(
  q: jax.Array,
  k: jax.Array,
  v: jax.Array,
  *,
  bias: jax.Array | None = None,
  mask: jax.Array | None = None,
  edit: Edit | None = None,
  drop: Edit | None = None,
  rt: runtime.Runtime = _PLAIN,
) -> jax.Array:
  """softmax(edit(q k^T / sqrt(d) + bias)) v, the softmax in float32.

  Args:
    q: [b, h, t, d].
    k: [b, h, s, d].
    v: [b, h, s, d].
    bias: broadcasts to [b, h, t, s]; added to the logits.
    mask: [b, s] bool, True = the key may be seen.
    edit: see `probabilities`; runs by einsum whatever `rt` says.
    drop: changes the probabilities (dropout); runs by einsum, too.
    rt: its `attention` is "einsum" (ours; fastest on CPU), "xla" or "cudnn"
      (both `jax.nn.dot_product_attention`; cudnn is flash attention and wants
      bf16 or f16 on a GPU), or "flash" (TPUs, split over the mesh, see
      `nn.flash`).

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
    return jnp.einsum("bhts,bhsd->bhtd", p if drop is None else drop(p), v)
  if implementation == "flash":
    return flash.attend(rt, q, k=k, v=v, bias=bias, mask=mask)
  q, k, v = (einops.rearrange(a, "b h t d -> b t h d") for a in (q, k, v))
  if bias is not None:
    bias = bias.astype(q.dtype)
  mask = None if mask is None else mask[:, None, None, :]
  out = jax.nn.dot_product_attention(
    q, k, v, bias, mask, implementation=implementation
  )
  return einops.rearrange(out, "b t h d -> b h t d")


class Attend(nn.Module, kw_only=True):
  """`attend` under a name: what it reads and gives can be hooked, `nn.hooks`.

  It has no parameters, and adds nothing to a program.

  Attributes:
    rt: execution choices.
  """

  rt: runtime.Runtime = _PLAIN

  def __call__(
    self, q: jax.Array, k: jax.Array, v: jax.Array, **more: Any
  ) -> jax.Array:
    """[b, h, t, d], [b, h, s, d] twice -> [b, h, t, d]; more: of `attend`."""
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
  """

  heads: int
  qkv_bias: bool | str = True
  rt: runtime.Runtime = runtime.Runtime()
  cosine: bool = False
  qkv_init: nn.initializers.Initializer = nn.initializers.xavier_uniform()
  proj_init: nn.initializers.Initializer = nn.initializers.xavier_uniform()
  qk_norm: bool | str = False
  qk_eps: float = 1e-6

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    bias: jax.Array | None = None,
    mask: jax.Array | None = None,
    rotary: jax.Array | None = None,
    edit: Edit | None = None,
    drop: Edit | None = None,
    taps: tuple[str, ...] = (),
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, t, w] -> [b, t, w] and the requested taps.

    Args:
      x: [b, t, w]; w must divide by the number of heads.
      bias: broadcasts to [b, h, t, t].
      mask: [b, t] bool, True = may be attended to.
      rotary: [1 or b, n, d/2] angles of the last n tokens, or of each head,
        see `posemb.rotate`; after the norm of q and k.
      edit: changes the logits [b, h, t, t], see `probabilities`.
      drop: changes the probabilities, see `attend`; not those tapped.
      taps: any of "q", "k", "v" ([b, h, t, d]) and "attention"
        ([b, h, t, t] float32 probabilities).
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
      q, k = self._cosine(q, k)
    if self.qk_norm:
      q, k = self._norm("q_norm")(q), self._norm("k_norm")(k)
    if rotary is not None:
      q, k = posemb.rotate(q, rotary), posemb.rotate(k, rotary)
    attended = Attend(rt=self.rt, name="attend")
    y = attended(q, k, v, bias=bias, mask=mask, edit=edit, drop=drop)
    y = einops.rearrange(self.rt.shard_dim(y, 1), "b h t d -> b t (h d)")
    y = ad_checkpoint.checkpoint_name(y, "attention")
    tapped = {"q": q, "k": k, "v": v}
    if "attention" in taps:
      tapped["attention"] = probabilities(q, k, bias, mask, edit=edit)
    proj = dense.dense(self.rt, width, kernel_init=self.proj_init, name="proj")
    return proj(y), {t: tapped[t] for t in taps}

  def _norm(self, name: str) -> nn.Module:
    """Of the width of a head."""
    make = norm.rms_norm if self.qk_norm == "rms" else norm.layer_norm
    return make(self.rt, name, self.qk_eps)

  def _cosine(self, q, k):
    """q and k of unit length, q times the learned scale and sqrt(d)."""
    init = nn.initializers.constant(np.log(10.0))
    scale = self.param("logit_scale", init, (self.heads, 1, 1))
    # Swin V2: cos(q, k) / tau with 1 / tau = exp(s) <= 100; `attend` divides by
    # sqrt(d), which cosine attention does not.
    scale = jnp.exp(jnp.minimum(scale, np.log(100.0))) * q.shape[-1] ** 0.5
    return (norm.unit(q) * scale).astype(q.dtype), norm.unit(k).astype(k.dtype)


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
  """

  heads: int
  qkv_bias: bool | str = True
  init_scale: float = 1.0
  rt: runtime.Runtime = runtime.Runtime()
  inner: int = 0
  proj_init: nn.initializers.Initializer = nn.initializers.xavier_uniform()

  @nn.compact
  def __call__(
    self, x: jax.Array, keys: jax.Array, values: Some = None, bias: Some = None
  ) -> jax.Array:
    """[b, t, w] -> [b, t, w].

    Args:
      x: [b, t, w] tokens, of which the queries are made.
      keys: [b, s, e] tokens that are attended to.
      values: [b, s, e] tokens that are read; None: the keys.
      bias: broadcasts to [b, h, t, s]; added to the logits.
    """
    width = x.shape[-1]
    values = keys if values is None else values
    init = nn.initializers.variance_scaling

    def project(tokens, name):
      y = dense.dense(
        self.rt,
        self.inner or width,
        use_bias=self.qkv_bias is True or self.qkv_bias == "qv" and name != "k",
        kernel_init=init(self.init_scale, "fan_avg", "uniform"),
        name=name,
      )(tokens)
      return einops.rearrange(y, "b t (h d) -> b h t d", h=self.heads)

    q, k, v = project(x, "q"), project(keys, "k"), project(values, "v")
    y = Attend(rt=self.rt, name="attend")(q, k, v, bias=bias)
    y = einops.rearrange(y, "b h t d -> b t (h d)")
    return dense.dense(self.rt, width, kernel_init=self.proj_init, name="proj")(
      y
    )
