r"""Attention of linear cost, and the mixers it is compared with.

LinFusion (Liu, Yu, Tan, Wang 2024, arXiv 2409.02097), generalised linear
attention. With phi(u) = elu(u) + 1 and maps F of two layers,

    q = W_q (x + F_q(x)),  k = W_k (c + F_k(c)),  v = W_v c       per head:
    y_i = phi(q_i)^T (1/t sum_j phi(k_j) v_j^T)
          / (phi(q_i) . 1/s sum_j phi(k_j) + 1e-4)

over t queries and s keys: a weighted mean of v in O(t + s), whatever their
number. (The released code divides by t above and by s below, which differ
where the keys are another set.)

Forms: "linear", the above; "softmax", that of the host; "plain", without F;
"unnormalised", without the denominator: a sum, which grows with the tokens;
"causal", over j <= i; "bidirectional", the causal sums of both directions
added, hence a token's own weight twice. How the last three are scaled is ours.
"""

import functools
from typing import Any

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import conv
from jmim.nn import dense
from jmim.nn import norm
from jmim.nn import patch

FORMS = (
  "linear",
  "softmax",
  "plain",
  "unnormalised",
  "causal",
  "bidirectional",
)
ORDERED = ("causal", "bidirectional")  # queries and keys are one sequence
EPS = 1e-4
STEP = 128  # tokens that causal forms weigh pair by pair, unless told


def phi(x: jax.Array) -> jax.Array:
  """elu(x) + 1 > 0, in float32."""
  return jax.nn.elu(x.astype(jnp.float32)) + 1


def attend(
  q: jax.Array,
  k: jax.Array,
  v: jax.Array,
  *,
  form: str = "linear",
  chunk: int = 0,
  tokens: int = 0,
) -> jax.Array:
  """A mean, or a sum, of v with weights phi(q_i) . phi(k_j).

  Args:
    q: [b, h, t, d], before phi.
    k: [b, h, s, d], before phi.
    v: [b, h, s, e].
    form: one of FORMS but "softmax"; "plain" is "linear" here.
    chunk: keys, then queries, that are worked on at a time; 0: all. What is
      kept from chunk to chunk is [b, h, d, e], in float32.
    tokens: "unnormalised" divides its sum by so many times d, a constant; 0:
      by nothing.

  Returns:
    [b, h, t, e] in the dtype of v.

  Raises:
    ValueError: an order among tokens of two sets.
  """
  t, s = q.shape[2], k.shape[2]
  if form in ORDERED:
    if t != s:
      raise ValueError(f"form {form!r} with {t} queries and {s} keys")
    return _ordered(q, k, v, both=form == "bidirectional", chunk=chunk)
  kv, mean = _sums(k, v, chunk=chunk, scale=t**-0.5)
  if form == "unnormalised":
    kv, mean = kv * t / ((tokens * q.shape[-1]) or 1), None
  read = functools.partial(_read, kv=kv, mean=mean, dtype=v.dtype)
  if not chunk or chunk >= t:
    return read(q)
  y = jax.lax.map(read, _split(q, chunk))
  return _joined(y)[:, :, :t]


def _split(x, chunk):
  """[b, h, t, d] -> [n, b, h, chunk, d], zeros at the end."""
  fill = -x.shape[2] % chunk
  x = jnp.pad(x, ((0, 0), (0, 0), (0, fill), (0, 0)))
  return einops.rearrange(x, "b h (n c) d -> n b h c d", c=chunk)


def _joined(x):
  """[n, b, h, chunk, d] -> [b, h, n chunk, d]."""
  return einops.rearrange(x, "n b h c d -> b h (n c) d")


def _product(spec, a, b, dtype):
  """einsum of float32 features in the dtype of the values, sums in float32."""
  a, b = a.astype(dtype), b.astype(dtype)
  return jnp.einsum(spec, a, b, preferred_element_type=jnp.float32)


def _sums(k, v, chunk, scale):
  """scale^2 sum_j phi(k_j) v_j^T [b, h, d, e] and the mean of phi(k_j)."""
  s = k.shape[2]

  def part(k, v, seen):
    # Each factor has half of 1 / t: their product alone overflows float16.
    f, dtype = phi(k) * seen, v.dtype
    kv = _product("bhsd,bhse->bhde", f * scale, v * scale, dtype)
    return kv, f.sum(2) / s

  if not chunk or chunk >= s:
    return part(k, v, 1.0)

  def body(carry, xs):
    return jax.tree.map(jnp.add, carry, part(*xs)), None

  ks, vs = _split(k, chunk), _split(v, chunk)
  seen = jnp.arange(len(ks) * chunk).reshape(-1, chunk, 1) < s
  (b, h, _, d), e = k.shape, v.shape[-1]
  zeros = jnp.zeros((b, h, d, e)), jnp.zeros((b, h, d))
  found, _ = jax.lax.scan(body, zeros, (ks, vs, seen))
  return found


def _read(q, kv, mean, dtype):
  """phi(q) kv over phi(q) . mean, or over nothing."""
  f = phi(q)
  y = _product("bhtd,bhde->bhte", f, kv, dtype)
  if mean is not None:
    y = y / (jnp.einsum("bhtd,bhd->bht", f, mean)[..., None] + EPS)
  return y.astype(dtype)


def _ordered(q, k, v, both, chunk):
  """Means over the tokens up to one's own, or over those and from there on."""
  t = q.shape[2]
  past = functools.partial(_past, chunk=min(chunk or STEP, t))
  total, weight = past(q, k, v)
  seen = jnp.arange(1, t + 1)[:, None]
  if both:
    flip = lambda x: x[:, :, ::-1]
    after = past(flip(q), flip(k), flip(v))
    total, weight = total + flip(after[0]), weight + flip(after[1])
    seen = t + 1
  return (total / (weight + EPS * seen)).astype(v.dtype)


def _past(q, k, v, chunk):
  """Sums over j <= i of phi(q_i) . phi(k_j) v_j [.., t, e], and of 1 [.., 1].

  Chunk by chunk: pairs inside of it, and the sums of the chunks before it.
  """
  (b, h, t, d), e, dtype = k.shape, v.shape[-1], v.dtype
  upto = jnp.tril(jnp.ones((chunk, chunk)))

  def body(carry, xs):
    kv, total = carry
    fq, fk, v = phi(xs[0]), phi(xs[1]), xs[2]
    pairs = upto * jnp.einsum("bhtd,bhsd->bhts", fq, fk)
    y = _product("bhts,bhse->bhte", pairs, v, dtype)
    y = y + jnp.einsum("bhtd,bhde->bhte", fq, kv)
    weight = pairs.sum(-1) + jnp.einsum("bhtd,bhd->bht", fq, total)
    kv = kv + _product("bhsd,bhse->bhde", fk, v, dtype)
    return (kv, total + fk.sum(2)), (y, weight[..., None])

  # What fills the last chunk comes after all that is read.
  zeros = jnp.zeros((b, h, d, e)), jnp.zeros((b, h, d))
  _, found = jax.lax.scan(body, zeros, [_split(x, chunk) for x in (q, k, v)])
  return tuple(_joined(x)[:, :, :t] for x in found)


def linear(
  rt: runtime.Runtime, features: int, fan_in: int, **options: Any
) -> nn.Dense:
  """A linear map that starts as torch's, whose bias depends on its inputs."""
  start = dict(kernel_init=conv.TORCH, bias_init=patch.conv_bias_init(fan_in))
  return dense.dense(rt, features, **start, **options)


class Features(nn.Module, kw_only=True):
  """x + F(x): Linear to M, LayerNorm, LeakyReLU, Linear; torch's start.

  Attributes:
    mid: M; 0: the width of x; -1: F(x) = x.
    rt: execution choices.
  """

  mid: int = 0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, t, w] -> the same."""
    if self.mid < 0:
      return 2 * x
    rt, width = self.rt, x.shape[-1]
    mid = self.mid or width
    y = linear(rt, mid, width, name="fc1")(x)
    y = nn.leaky_relu(norm.layer_norm(rt, "norm", 1e-5)(y), 0.01)
    return x + linear(rt, width, mid, name="fc2")(y)


class LinearAttention(nn.Module, kw_only=True):
  """A mixer of tokens; q, k, v and proj are those of `CrossAttention`.

  Attributes:
    heads: attention heads, contiguous groups of channels.
    form: one of FORMS.
    mid: M of F_q and F_k, see `Features`; "softmax" and "plain" have none.
    chunk: see `attend`; of memory, not of the result.
    tokens: see `attend`.
    rt: execution choices.
  """

  heads: int
  form: str = "linear"
  mid: int = 0
  chunk: int = 0
  tokens: int = 0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, keys: jax.Array | None = None) -> jax.Array:
    """[b, t, w] -> [b, t, w].

    Args:
      x: [b, t, w] tokens, of which the queries are made.
      keys: [b, s, e] tokens that are attended to; None: x.

    Raises:
      ValueError: an unknown form.
    """
    if self.form not in FORMS:
      raise ValueError(f"form {self.form!r} not in {FORMS}")
    width, keys = x.shape[-1], x if keys is None else keys

    def project(tokens, name):
      options = dict(use_bias=False, name=name)
      y = linear(self.rt, width, tokens.shape[-1], **options)(tokens)
      return einops.rearrange(y, "b t (h d) -> b h t d", h=self.heads)

    featured = self.form not in ("softmax", "plain")
    f = functools.partial(Features, mid=self.mid, rt=self.rt)
    add = lambda x, name: f(name=name)(x) if featured else x
    q = project(add(x, "q_features"), "q")
    k = project(add(keys, "k_features"), "k")
    v = project(keys, "v")
    if self.form == "softmax":
      y = attention.attend(q, k, v, rt=self.rt)
    else:
      options = dict(form=self.form, chunk=self.chunk, tokens=self.tokens)
      y = attend(q, k, v, **options)
    y = einops.rearrange(y, "b h t d -> b t (h d)")
    return linear(self.rt, width, width, name="proj")(y)
