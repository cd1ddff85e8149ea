"""Multi-head attention with a choice of implementation, taps and biases."""

import functools

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import ad_checkpoint

from jmim.core import runtime
from jmim.nn import dense
from jmim.nn import flash
from jmim.nn import lean
from jmim.nn import norm
from jmim.nn import posemb

IMPLEMENTATIONS = ("einsum", "xla", "cudnn", "flash")
TAPS = ("q", "k", "v", "attention")
_PLAIN = runtime.Runtime()


def probabilities(q, k, bias=None, mask=None, dtype=jnp.float32):
  """softmax(q k^T / sqrt(d) + bias), computed in float32: [b, h, t, s]."""
  # Scaling q, not the logits: [t, d] instead of [t, s] numbers, which halves
  # the time of the backward pass on CPU where heads are small.
  q = q * q.shape[-1] ** -0.5
  logits = jnp.einsum(
    "bhtd,bhsd->bhts", q, k, preferred_element_type=jnp.float32
  )
  if bias is not None:
    logits = logits + bias
  if mask is not None:
    floor = jnp.finfo(jnp.float32).min
    logits = jnp.where(mask[:, None, None, :], logits, floor)
  return lean.softmax(logits, dtype)


def attend(
  q: jax.Array,
  k: jax.Array,
  v: jax.Array,
  *,
  bias: jax.Array | None = None,
  mask: jax.Array | None = None,
  rt: runtime.Runtime = _PLAIN,
) -> jax.Array:
  """softmax(q k^T / sqrt(d) + bias) v, the softmax in float32.

  Args:
    q: [b, h, t, d].
    k: [b, h, s, d].
    v: [b, h, s, d].
    bias: broadcasts to [b, h, t, s]; added to the logits.
    mask: [b, s] bool, True = the key may be seen.
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
  if implementation == "einsum":
    p = probabilities(q, k, bias=bias, mask=mask, dtype=v.dtype)
    return jnp.einsum("bhts,bhsd->bhtd", p, v)
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


def separate_xavier(key, shape, dtype=jnp.float32):
  """Xavier-uniform of three [w, w] matrices, side by side: flax's q, k, v."""
  parts = [(shape[0], shape[1] // 3)] * 3
  init = nn.initializers.xavier_uniform()
  keys = jax.random.split(key, 3)
  drawn = [init(k, p, dtype) for k, p in zip(keys, parts, strict=True)]
  return jnp.concatenate(drawn, axis=1)


class RelativeBias(nn.Module, kw_only=True):
  """Learned bias of the logits by relative position, one table per head.

  Attributes:
    heads: attention heads.
    grid: (h, w) in tokens.
    prefix: 1 if a class token comes first (BEiT's three extra entries).
    std: of the initial table; 0: zeros.
  """

  heads: int
  grid: tuple[int, int]
  prefix: int = 0
  std: float = 0.0

  @nn.compact
  def __call__(self) -> jax.Array:
    """[heads, t, t] float32, t = prefix + h * w."""
    index = posemb.relative_index(self.grid, self.prefix)
    init = nn.initializers.normal(self.std)
    shape = (int(index.max()) + 1, self.heads)
    table = self.param("table", init, shape)
    return einops.rearrange(table[index], "t s h -> h t s")


def value_query_bias(module: nn.Module, width: int) -> jax.Array:
  """[3 * width]: learned q and v biases around a zero k bias (BEiT)."""
  zeros = nn.initializers.zeros_init()
  q, v = (module.param(n, zeros, (width,)) for n in ("q_bias", "v_bias"))
  return jnp.concatenate([q, jnp.zeros_like(q), v])


class Qkv(nn.Module, kw_only=True):
  """One product for q, k and v; columns ordered (q, k, v), head, dim.

  Attributes:
    heads: attention heads.
    use_bias: has a bias of its own.
    init: of the [w, 3w] kernel.
    rt: execution choices.
  """

  heads: int
  use_bias: bool
  init: nn.initializers.Initializer
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """[b, t, w], and a bias [3w] from elsewhere -> [3, b, h, t, d]."""
    width, rt = x.shape[-1], self.rt
    kernel = self.param("kernel", self.init, (width, 3 * width))
    if self.use_bias:
      bias = self.param("bias", nn.initializers.zeros_init(), (3 * width,))
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=rt.dtype)
    bias = 0 if bias is None else bias.astype(x.dtype)
    sizes = {"three": 3, "h": self.heads}
    if rt.ways("tensor") == 1:
      y = ad_checkpoint.checkpoint_name(
        dense.product(rt, x, kernel) + bias, "qkv"
      )
      return einops.rearrange(y, "b t (three h d) -> three b h t d", **sizes)
    # A third of the columns of each chip is no set of heads: they are dealt
    # out anew, which moves parameters instead of activations.
    split = functools.partial(einops.rearrange, **sizes)
    kernel = split(kernel, "w (three h d) -> w three h d")
    y = jnp.einsum("btw,wshd->btshd", x, rt.split(kernel, 2, batch=False))
    if not isinstance(bias, int):
      y = y + split(bias, "(three h d) -> three h d")
    y = ad_checkpoint.checkpoint_name(rt.split(y, 3), "qkv")
    return einops.rearrange(y, "b t three h d -> three b h t d")


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
    taps: tuple[str, ...] = (),
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, t, w] -> [b, t, w] and the taps asked for.

    Args:
      x: [b, t, w]; w must divide by the number of heads.
      bias: broadcasts to [b, h, t, t].
      mask: [b, t] bool, True = may be attended to.
      rotary: [1 or b, n, d/2] angles of the last n tokens, see
        `posemb.rotate`; after the norm of q and k.
      taps: any of "q", "k", "v" ([b, h, t, d]) and "attention"
        ([b, h, t, t] float32 probabilities).
    """
    if (width := x.shape[-1]) % self.heads:
      raise ValueError(f"width {width} does not divide by {self.heads} heads")
    q, k, v = Qkv(
      heads=self.heads,
      use_bias=self.qkv_bias is True,
      init=self.qkv_init,
      rt=self.rt,
      name="qkv",
    )(x, value_query_bias(self, width) if self.qkv_bias == "qv" else None)
    if self.cosine:
      q, k = self._cosine(q, k)
    if self.qk_norm:
      q, k = self._normed("q_norm")(q), self._normed("k_norm")(k)
    if rotary is not None:
      q, k = posemb.rotate(q, rotary), posemb.rotate(k, rotary)
    y = attend(q, k, v, bias=bias, mask=mask, rt=self.rt)
    y = einops.rearrange(self.rt.split(y, 1), "b h t d -> b t (h d)")
    y = ad_checkpoint.checkpoint_name(y, "attention")
    found = {"q": q, "k": k, "v": v}
    if "attention" in taps:
      found["attention"] = probabilities(q, k, bias, mask)
    proj = dense.dense(self.rt, width, kernel_init=self.proj_init, name="proj")
    return proj(y), {t: found[t] for t in taps}

  def _normed(self, name):
    kind = nn.RMSNorm if self.qk_norm == "rms" else norm.LayerNorm
    return kind(epsilon=self.qk_eps, dtype=self.rt.dtype, name=name)

  def _cosine(self, q, k):
    """q and k of unit length, q times the learned scale and sqrt(d)."""
    init = nn.initializers.constant(np.log(10.0))
    scale = self.param("logit_scale", init, (self.heads, 1, 1))
    # `attend` divides by sqrt(d), which cosine attention does not.
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
  """

  heads: int
  qkv_bias: bool | str = True
  init_scale: float = 1.0
  rt: runtime.Runtime = runtime.Runtime()
  inner: int = 0

  @nn.compact
  def __call__(
    self, x: jax.Array, keys: jax.Array, values: jax.Array | None = None
  ) -> jax.Array:
    """[b, t, w] -> [b, t, w].

    Args:
      x: [b, t, w] what asks.
      keys: [b, s, e] what is compared with.
      values: [b, s, e] what is read; None: the keys.
    """
    width, values = x.shape[-1], keys if values is None else values
    init = nn.initializers.variance_scaling

    def split(tokens, name):
      y = dense.dense(
        self.rt,
        self.inner or width,
        use_bias=self.qkv_bias is True or self.qkv_bias == "qv" and name != "k",
        kernel_init=init(self.init_scale, "fan_avg", "uniform"),
        name=name,
      )(tokens)
      return einops.rearrange(y, "b t (h d) -> b h t d", h=self.heads)

    q, k, v = split(x, "q"), split(keys, "k"), split(values, "v")
    y = attend(q, k, v, rt=self.rt)
    return dense.dense(
      self.rt,
      width,
      kernel_init=nn.initializers.xavier_uniform(),
      name="proj",
    )(einops.rearrange(y, "b h t d -> b t (h d)"))
