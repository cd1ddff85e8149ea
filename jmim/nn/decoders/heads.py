"""Classifier heads."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import batchnorm
from jmim.nn import dense
from jmim.nn import dropout
from jmim.nn import mlp
from jmim.nn import norm
from jmim.nn import points


class MeanPoolHead(nn.Module):
  """Mean of patch tokens, LayerNorm `fc_norm`, linear (MAE fine-tuning)."""

  classes: int
  init_std: float = 2e-5
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, patches: jax.Array) -> jax.Array:
    """[b, n, w] patch tokens, cls excluded -> [b, classes] float32 logits."""
    x = norm.layer_norm(self.rt, "fc_norm")(patches.mean(1))
    # torch truncates at 2 absolute, far outside of any std used here.
    init = nn.initializers.normal(self.init_std)
    linear = dense.dense(self.rt, self.classes, kernel_init=init, name="head")
    return linear(x).astype(jnp.float32)


class AttentivePool(nn.Module, kw_only=True):
  """One learned query attends to all tokens; MLP; linear (V-JEPA's probe)."""

  classes: int
  heads: int
  mlp_ratio: float = 4.0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, tokens: jax.Array) -> jax.Array:
    """[b, n, w] tokens -> [b, classes] float32 logits."""
    b, _, w = tokens.shape
    query = self.param("query", nn.initializers.normal(0.02), (1, 1, w))
    query = jnp.broadcast_to(query, (b, 1, w))
    x = norm.layer_norm(self.rt, "norm1")(tokens)
    attend = attention.CrossAttention(
      heads=self.heads, rt=self.rt, name="cross"
    )
    y = query + attend(query, x)
    z = norm.layer_norm(self.rt, "norm2")(y)
    y = y + mlp.MLP(hidden=int(w * self.mlp_ratio), rt=self.rt, name="mlp")(z)
    head = dense.dense(self.rt, self.classes, name="head")
    return head(y[:, 0]).astype(jnp.float32)


POOLS = ("cls", "mean", "cls_mean")


class PoolHead(nn.Module, kw_only=True):
  """Pooled tokens, LayerNorm if `norm`, linear.

  Attributes:
    classes: outputs.
    pool: one of POOLS.
    prefix: tokens before the patches.
    norm: LayerNorm before the linear layer.
    bias: of the linear layer.
    eps: of the LayerNorm.
    rt: execution choices.
  """

  classes: int
  pool: str = "mean"
  prefix: int = 0
  norm: bool = False
  bias: bool = True
  eps: float = 1e-6
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, tokens: jax.Array) -> jax.Array:
    """[b, prefix + n, w] -> [b, classes] float32 logits."""
    pooled = {"cls": tokens[:, 0], "mean": tokens[:, self.prefix :].mean(1)}
    x = jnp.concatenate([pooled[p] for p in self.pool.split("_")], axis=-1)
    if self.norm:
      x = norm.layer_norm(self.rt, "norm", self.eps)(x)
    init = nn.initializers.normal(2e-5)
    linear = dense.dense(
      self.rt, self.classes, use_bias=self.bias, kernel_init=init, name="out"
    )
    return linear(x).astype(jnp.float32)


MEAN_MAX = ("sum", "concat")


class CloudHead(nn.Module, kw_only=True):
  """Mean and maximum of tokens, two hidden layers, linear (Point-M2AE).

  Attributes:
    classes: outputs.
    hidden: width of the hidden layers; each has a BatchNorm and a ReLU.
    pool: "sum": mean plus maximum; "concat": one after the other.
    dropout: after each hidden layer, where there are keys.
    rt: execution choices.
  """

  classes: int
  hidden: int = 256
  pool: str = "sum"
  dropout: float = 0.5
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, tokens: jax.Array, *, train: bool, keys: jax.Array | None = None
  ) -> jax.Array:
    """[b, n, w] tokens -> [b, classes] float32 logits.

    Args:
      tokens: of a set.
      train: statistics of the batch.
      keys: [b, 2] of dropout (`nn.dropout`); None: nothing is dropped.
    """
    both = (tokens.mean(1), points.most(tokens))
    x = sum(both) if self.pool == "sum" else jnp.concatenate(both, axis=-1)
    for i in (1, 2):
      hidden = batchnorm.Normed(
        features=self.hidden, rt=self.rt, name=f"hidden{i}"
      )
      x = nn.relu(hidden(x, train))
      x = dropout.dropout(x, keys, self.dropout, site=i)
    return dense.dense(self.rt, self.classes, name="out")(x).astype(jnp.float32)
