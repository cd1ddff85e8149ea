"""A transformer block of two streams that attend to each other.

Each stream s, the context and the target, has maps, norms and an MLP of its
own (as in MM-DiT, Esser et al. 2024), and is normed before and after each
branch (LaVin-DiT, Wang et al. 2025):

    s = s + tanh(g_a) R(attention((1 + c_a) R(s)))     over both streams
    s = s + tanh(g_m) R(SwiGLU((1 + c_m) R(s)))

R: RMSNorm without scale. c_a, g_a, c_m, g_m are a linear map of the stream's
conditioning, 0 at first, so that a fresh block changes nothing. q and k are
RMSNormed over all heads together, with a learned scale, then turned by rotary
positions of the joint sequence: the context first, then the target.
"""

import einops
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

Array = jax.Array
XAVIER = nn.initializers.xavier_uniform()


def hidden_width(width: int) -> int:
  """Of the SwiGLU: two thirds of 4 w, rounded down to a multiple of 64.

  Of a stream so narrow that this were 0 it is the two thirds.
  """
  two_thirds = 8 * width // 3
  return two_thirds // 64 * 64 or two_thirds


class Stream(nn.Module, kw_only=True):
  """The layers of one stream.

  Attributes:
    width: w.
    heads: h, of the queries.
    kv_heads: g, of keys and values.
    rt: execution choices.
  """

  width: int
  heads: int
  kv_heads: int
  rt: runtime.Runtime = runtime.Runtime()

  def setup(self) -> None:
    """Makes the layers; flax names them after the attributes."""
    rt, width = self.rt, self.width
    linear = lambda n: dense.dense(rt, n, use_bias=False, kernel_init=XAVIER)
    inner = width // self.heads * self.kv_heads
    self.modulation = dense.dense(
      rt, 4 * width, kernel_init=nn.initializers.zeros
    )
    self.q, self.k, self.v = linear(width), linear(inner), linear(inner)
    self.q_norm, self.k_norm = norm.rms_norm(rt, None), norm.rms_norm(rt, None)
    self.proj = linear(width)
    self.mlp = mlp.SwiGLU(hidden=hidden_width(width), rt=rt)
    self.bare = norm.rms_norm(rt, None, affine=False)

  def project(self, x: Array, mods: list[Array]) -> tuple[Array, ...]:
    """q [b, h, t, d], k and v [b, g, t, d] of tokens [b, t, w]."""
    y = self.bare(x) * (1 + mods[0])
    split = lambda a, n: einops.rearrange(a, "b t (h d) -> b h t d", h=n)
    q = split(self.q_norm(self.q(y)), self.heads)
    k = split(self.k_norm(self.k(y)), self.kv_heads)
    return q, k, split(self.v(y), self.kv_heads)

  def modulations(self, cond: Array) -> list[Array]:
    """c_a, g_a, c_m, g_m [b, 1, w] of conditioning [b, w]."""
    return jnp.split(self.modulation(cond)[:, None], 4, axis=-1)

  def finish(self, x: Array, y: Array, mods: list[Array]) -> Array:
    """The stream [b, t, w] after what its tokens have read, y [b, t, w]."""
    _, gate_a, scale_m, gate_m = mods
    x = self.rt.shard(x + jnp.tanh(gate_a) * self.bare(self.proj(y)))
    x = ad_checkpoint.checkpoint_name(x, "middle")
    y = self.mlp(self.bare(x) * (1 + scale_m))
    return self.rt.shard(x + jnp.tanh(gate_m) * self.bare(y))


class JointBlock(nn.Module, kw_only=True):
  """The block above.

  Attributes:
    heads: of the queries, in both streams.
    kv_heads: of keys and values, a divisor of it.
    rotary_widths: of the axes' slices of a head, see `posemb.rotate`.
    rt: execution choices.
  """

  heads: int
  kv_heads: int
  rotary_widths: tuple[int, ...] = ()
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: Array,
    *,
    cond: Array,
    context: int = 0,
    rotary: Array | None = None,
    mask: Array | None = None,
    taps: tuple[str, ...] = (),
  ) -> tuple[Array, dict[str, Array]]:
    """[b, t, w] -> [b, t, w] and the taps.

    Args:
      x: tokens of the context, then those of the target.
      cond: [b, 2, w] conditioning of the context and of the target, already
        through its activation.
      context: tokens of the context.
      rotary: [1, t, d/2] angles; None: no positions.
      mask: [b, t] bool, True = may be attended to.
      taps: any of "q", "k", "v" ([b, h or g, t, d]) and "block" ([b, t, w],
        after the block).
    """
    names = ("context", "target")
    parts = dict(zip(names, jnp.split(x, [context], axis=1), strict=True))
    streams = {name: self._stream(name, x.shape[-1]) for name in names}
    mods = {n: streams[n].modulations(cond[:, i]) for i, n in enumerate(names)}
    every = [streams[n].project(parts[n], mods[n]) for n in names]
    join = lambda arrays: jnp.concatenate(arrays, axis=2)
    q, k, v = (
      self.rt.shard_dim(join(arrays), 1) for arrays in zip(*every, strict=True)
    )
    if rotary is not None:
      q, k = (posemb.rotate(a, rotary, self.rotary_widths) for a in (q, k))
    y = attention.Attend(rt=self.rt, name="attend")(q, k, v, mask=mask)
    y = einops.rearrange(self.rt.shard_dim(y, 1), "b h t d -> b t (h d)")
    y = ad_checkpoint.checkpoint_name(y, "attention")
    read = dict(zip(names, jnp.split(y, [context], axis=1), strict=True))
    done = [streams[n].finish(parts[n], read[n], mods[n]) for n in names]
    x = jnp.concatenate(done, axis=1)
    tapped = {"q": q, "k": k, "v": v, "block": x}
    return x, {t: tapped[t] for t in taps}

  def _stream(self, name, width):
    return Stream(
      width=width,
      heads=self.heads,
      kv_heads=self.kv_heads,
      rt=self.rt,
      name=name,
    )
