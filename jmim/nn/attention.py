"""Multi-head self-attention with a choice of implementation, and taps."""

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.nn import runtime

IMPLEMENTATIONS = ("einsum", "xla", "cudnn")


def _probabilities(q, k, bias, mask):
  """softmax(q k^T / sqrt(d) + bias) in float32: [b, h, t, s]."""
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
  return jax.nn.softmax(logits, axis=-1)


def attend(
  q: jax.Array,
  k: jax.Array,
  v: jax.Array,
  *,
  bias: jax.Array | None = None,
  mask: jax.Array | None = None,
  implementation: str = "einsum",
) -> jax.Array:
  """softmax(q k^T / sqrt(d) + bias) v, the softmax in float32.

  Args:
    q: [b, h, t, d].
    k: [b, h, s, d].
    v: [b, h, s, d].
    bias: broadcasts to [b, h, t, s]; added to the logits.
    mask: [b, s] bool, True = the key may be seen.
    implementation: "einsum" (ours; fastest on CPU), "xla" or "cudnn" (both
      `jax.nn.dot_product_attention`; cudnn is flash attention and wants
      bf16 or f16 on a GPU).

  Returns:
    [b, h, t, d] in the dtype of v.

  Raises:
    ValueError: on an unknown implementation.
  """
  if implementation not in IMPLEMENTATIONS:
    raise ValueError(f"attention {implementation!r} not in {IMPLEMENTATIONS}")
  if implementation == "einsum":
    p = _probabilities(q, k, bias, mask).astype(v.dtype)
    return jnp.einsum("bhts,bhsd->bhtd", p, v)
  q, k, v = (einops.rearrange(a, "b h t d -> b t h d") for a in (q, k, v))
  if bias is not None:
    bias = bias.astype(q.dtype)
  mask = None if mask is None else mask[:, None, None, :]
  out = jax.nn.dot_product_attention(
    q, k, v, bias, mask, implementation=implementation
  )
  return einops.rearrange(out, "b t h d -> b h t d")


class SelfAttention(nn.Module):
  """Fused-qkv self-attention; qkv columns ordered (q, k, v), head, dim."""

  heads: int
  qkv_bias: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    bias: jax.Array | None = None,
    mask: jax.Array | None = None,
    taps: tuple[str, ...] = (),
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, t, w] -> [b, t, w] and the taps asked for.

    Args:
      x: [b, t, w]; w must divide by the number of heads.
      bias: broadcasts to [b, h, t, t].
      mask: [b, t] bool, True = may be attended to.
      taps: any of "q", "k", "v" ([b, h, t, d]) and "attention"
        ([b, h, t, t] float32 probabilities).
    """
    width = x.shape[-1]
    if width % self.heads:
      raise ValueError(f"width {width} does not divide by {self.heads} heads")
    dense = lambda n, bias, name: nn.Dense(  # noqa: E731
      n,
      use_bias=bias,
      dtype=self.rt.dtype,
      kernel_init=nn.initializers.xavier_uniform(),
      name=name,
    )
    qkv = dense(3 * width, self.qkv_bias, "qkv")(x)
    q, k, v = einops.rearrange(
      qkv, "b t (three h d) -> three b h t d", three=3, h=self.heads
    )
    y = attend(q, k, v, bias=bias, mask=mask, implementation=self.rt.attention)
    y = einops.rearrange(y, "b h t d -> b t (h d)")
    found = {"q": q, "k": k, "v": v}
    if "attention" in taps:
      found["attention"] = _probabilities(q, k, bias, mask)
    return dense(width, True, "proj")(y), {t: found[t] for t in taps}
