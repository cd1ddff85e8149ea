"""Blocks of CRATE: steps of sparse rate reduction (Pai et al. 2024).

    w = x U                    in heads: one matrix makes q, k and v
    MSSA(x) = merge(softmax(w w' / sqrt(d)) w) P + p           compression
    ISTA(x) = relu(x + step ((x - x D') D - threshold))        sparsification

    encoder block   h = x + MSSA(LN x),    x <- ISTA(LN h)
    decoder block   y = (LN x) W,          x <- y - MSSA(LN y)

Primes transpose. D is stored as `kernel` = D', so x D' = x kernel.
"""

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import ad_checkpoint

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import dense
from jmim.nn import norm

EPS = 1e-5  # of the norms inside of blocks: torch's default
MEASURES = ("rate", "nonzero")
_OWN = ("middle", "block", "nonzero")  # taps of a block, not of its attention
_PLAIN = runtime.Runtime()


def ista(
  x: jax.Array,
  kernel: jax.Array,
  step: float,
  threshold: float,
  rt: runtime.Runtime = _PLAIN,
) -> jax.Array:
  """One proximal gradient step of a sparse code z >= 0 of x, from z = x.

  Of |x - z D'|^2 / 2 + threshold |z|_1, with D' = `kernel`.

  Args:
    x: [..., w].
    kernel: [w, w] dictionary; both factors of a step are made of it.
    step: size of the step.
    threshold: weight of the L1 norm.
    rt: execution choices.

  Returns:
    [..., w], nowhere negative.
  """
  x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=rt.dtype)
  rest = x - dense.product(rt, x, kernel)
  y = x + step * dense.product(rt, rest, kernel.T) - step * threshold
  return nn.relu(y)


def coding_rate(w: jax.Array, precision: float = 0.01) -> jax.Array:
  """Rate of tokens in the subspaces of the heads, as the authors measure it.

      sum_heads log det(I + d / (t precision) Z'Z) / 2

  Z has the tokens as rows, each scaled to length 1; `precision` is eps^2.

  Args:
    w: [b, h, t, d], tokens in the subspace of each head.
    precision: squared error that is allowed.

  Returns:
    [b] float32, nats.
  """
  t, d = w.shape[-2:]
  z = norm.unit(w)
  gram = jnp.einsum(
    "bhtd,bhte->bhde", z, z, precision=jax.lax.Precision.HIGHEST
  )
  # log det of I + c Z'Z is that of I + c ZZ', which is larger.
  factor = jnp.linalg.cholesky(jnp.eye(d) + d / (t * precision) * gram)
  logs = jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1))
  return logs.sum((-2, -1))


class SubspaceAttention(nn.Module, kw_only=True):
  """MSSA: self-attention with one projection for q, k and v.

  One head alone has no output projection, as the authors have it.

  Attributes:
    heads: attention heads, that is subspaces.
    rt: execution choices.
  """

  heads: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    mask: jax.Array | None = None,
    taps: tuple[str, ...] = (),
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, t, w] -> [b, t, w] and the requested taps.

    Args:
      x: [b, t, w]; w must divide by the number of heads.
      mask: [b, t] bool, True = may be attended to.
      taps: any of "q", "k", "v" (the same three, [b, h, t, d]), "attention"
        ([b, h, t, t] float32 probabilities) and "rate" ([b], of all tokens).
    """
    rt, width = self.rt, x.shape[-1]
    init = nn.initializers.xavier_uniform()
    w = dense.dense(rt, width, use_bias=False, kernel_init=init, name="qkv")(x)
    w = ad_checkpoint.checkpoint_name(w, "qkv")
    w = einops.rearrange(w, "b t (h d) -> b h t d", h=self.heads)
    w = rt.shard_dim(w, 1)
    y = attention.Attend(rt=rt, name="attend")(w, w, w, mask=mask)
    y = einops.rearrange(rt.shard_dim(y, 1), "b h t d -> b t (h d)")
    y = ad_checkpoint.checkpoint_name(y, "attention")
    if self.heads > 1:
      y = dense.dense(rt, width, kernel_init=init, name="proj")(y)
    tapped = {"q": w, "k": w, "v": w}
    if "attention" in taps:
      tapped["attention"] = attention.probabilities(w, w, mask=mask)
    if "rate" in taps:
      tapped["rate"] = coding_rate(w)
    return y, {t: tapped[t] for t in taps}


class Dictionary(nn.Module):
  """A square kernel, which starts uniform in +-sqrt(6 / w)."""

  @nn.compact
  def __call__(self, width: int) -> jax.Array:
    """[width, width], float32."""
    init = nn.initializers.he_uniform()
    return self.param("kernel", init, (width, width))


class EncoderBlock(nn.Module, kw_only=True):
  """h = x + MSSA(LN x), then ISTA(LN h), which nothing is added to.

  Attributes:
    heads: attention heads.
    step: of ISTA.
    threshold: of ISTA.
    rt: execution choices.
  """

  heads: int
  step: float = 0.1
  threshold: float = 0.5
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    mask: jax.Array | None = None,
    taps: tuple[str, ...] = (),
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, t, w] -> [b, t, w], not negative, and the requested taps.

    Args:
      x: [b, t, w].
      mask: [b, t] bool, True = may be attended to.
      taps: "middle" (h) and "block" (the output), [b, t, w]; "nonzero" ([b],
        share of the output's numbers that are not 0); or those of
        `SubspaceAttention`.
    """
    inner = tuple(t for t in taps if t not in _OWN)
    y = norm.layer_norm(self.rt, "norm1", EPS)(x)
    attn = SubspaceAttention(heads=self.heads, rt=self.rt, name="attn")
    y, tapped = attn(y, mask=mask, taps=inner)
    h = ad_checkpoint.checkpoint_name(self.rt.shard(x + y), "middle")
    y = norm.layer_norm(self.rt, "norm2", EPS)(h)
    kernel = Dictionary(name="ista")(x.shape[-1])
    x = ista(y, kernel, step=self.step, threshold=self.threshold, rt=self.rt)
    x = self.rt.shard(x)
    tapped |= {"middle": h, "block": x}
    if "nonzero" in taps:
      tapped["nonzero"] = jnp.mean(x != 0, axis=(1, 2), dtype=jnp.float32)
    return x, {t: tapped[t] for t in taps}


class DecoderBlock(nn.Module, kw_only=True):
  """y = (LN x) W, then y - MSSA(LN y): roughly an encoder block backwards.

  Attributes:
    heads: attention heads.
    rt: execution choices.
  """

  heads: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, x: jax.Array, *, mask: jax.Array | None = None
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, t, w] -> [b, t, w], and no taps.

    Args:
      x: [b, t, w].
      mask: [b, t] bool, True = may be attended to.
    """
    y = norm.layer_norm(self.rt, "norm1", EPS)(x)
    kernel = Dictionary(name="linear")(x.shape[-1])
    y, kernel = nn.dtypes.promote_dtype(y, kernel, dtype=self.rt.dtype)
    y = ad_checkpoint.checkpoint_name(
      self.rt.shard(dense.product(self.rt, y, kernel)), "middle"
    )
    attn = SubspaceAttention(heads=self.heads, rt=self.rt, name="attn")
    z, _ = attn(norm.layer_norm(self.rt, "norm2", EPS)(y), mask=mask)
    return self.rt.shard(y - z), {}
