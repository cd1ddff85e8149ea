"""The product that makes queries, keys and values, and how it starts."""

from typing import Any

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import ad_checkpoint

from jmim.core import runtime
from jmim.nn import dense
from jmim.nn import norm


def separate_xavier(
  key: jax.Array, shape: tuple[int, int], dtype: Any = jnp.float32
) -> jax.Array:
  """Xavier-uniform of three [w, w] matrices, side by side: flax's q, k, v.

  Args:
    key: random key.
    shape: (w, 3w), also of the result.
    dtype: of the result.
  """
  # The fan-out of each is w: one [w, 3w] matrix would start 1 / sqrt(2) as
  # large (6 / (w + 3w) against 6 / (w + w) under the root).
  parts = [(shape[0], shape[1] // 3)] * 3
  init = nn.initializers.xavier_uniform()
  keys = jax.random.split(key, 3)
  drawn = [init(k, p, dtype) for k, p in zip(keys, parts, strict=True)]
  return jnp.concatenate(drawn, axis=1)


def value_query_bias(module: nn.Module, width: int) -> jax.Array:
  """[3w] learned biases of q and v around a zero bias of k (BEiT).

  softmax(q (k + c)^T) = softmax(q k^T + q c^T) does not depend on c, which
  adds the same number to every logit of a query.

  Args:
    module: where the parameters q_bias and v_bias are declared.
    width: w.
  """
  zeros = nn.initializers.zeros_init()
  q, v = (module.param(n, zeros, (width,)) for n in ("q_bias", "v_bias"))
  return jnp.concatenate([q, jnp.zeros_like(q), v])


def cosine(
  module: nn.Module, heads: int, q: jax.Array, k: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """q and k of unit length, q times a learned scale per head and sqrt(d).

  Args:
    module: where the parameter logit_scale is declared.
    heads: h.
    q: [b, h, t, d].
    k: [b, h, s, d].
  """
  init = nn.initializers.constant(np.log(10.0))
  scale = module.param("logit_scale", init, (heads, 1, 1))
  # Swin V2: cos(q, k) / tau with 1 / tau = exp(s) <= 100; `attend` divides by
  # sqrt(d), which cosine attention does not.
  scale = jnp.exp(jnp.minimum(scale, np.log(100.0))) * q.shape[-1] ** 0.5
  return (norm.unit(q) * scale).astype(q.dtype), norm.unit(k).astype(k.dtype)


def normed(
  rt: runtime.Runtime, kind: bool | str, eps: float, q: jax.Array, k: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """q and k with each head normed: layers q_norm and k_norm of the caller.

  Args:
    rt: execution choices.
    kind: "rms": RMSNorm; else LayerNorm.
    eps: of the norm.
    q: [b, h, t, d].
    k: [b, g, s, d].
  """
  make = norm.rms_norm if kind == "rms" else norm.layer_norm
  return make(rt, "q_norm", eps)(q), make(rt, "k_norm", eps)(k)


class Qkv(nn.Module, kw_only=True):
  """One product for q, k and v; columns ordered (q, k, v), head, dim.

  Attributes:
    heads: attention heads.
    use_bias: has a bias of its own.
    kernel_init: of the [w, 3w] kernel.
    rt: execution choices.
    inner: width of each of q, k and v, of all heads; 0: w.
  """

  heads: int
  use_bias: bool
  kernel_init: nn.initializers.Initializer
  rt: runtime.Runtime = runtime.Runtime()
  inner: int = 0

  @nn.compact
  def __call__(self, x: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """[b, t, w], and a bias [3w] from elsewhere -> [3, b, h, t, d]."""
    rt = self.rt
    width = x.shape[-1]
    columns = 3 * (self.inner or width)
    kernel = self.param("kernel", self.kernel_init, (width, columns))
    if self.use_bias:
      bias = self.param("bias", nn.initializers.zeros_init(), (columns,))
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
    kernel = einops.rearrange(kernel, "w (three h d) -> w three h d", **sizes)
    y = jnp.einsum("btw,wshd->btshd", x, rt.shard_dim(kernel, 2, batch=False))
    if not isinstance(bias, int):
      y = y + einops.rearrange(bias, "(three h d) -> three h d", **sizes)
    y = ad_checkpoint.checkpoint_name(rt.shard_dim(y, 3), "qkv")
    return einops.rearrange(y, "b t three h d -> three b h t d")
