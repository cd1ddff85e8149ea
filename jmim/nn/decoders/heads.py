"""Classifier heads and their loss."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import block
from jmim.nn import lean
from jmim.nn import mlp
from jmim.nn import patch


def batch_norm(
  x: jax.Array,
  mean: jax.Array,
  var: jax.Array,
  train: bool,
  momentum: float = 0.1,
  eps: float = 1e-6,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Batch normalisation without affine (MAE linear probing).

  In training, x is normalised with the batch's biased variance while the
  running variance takes the unbiased one, as torch does.

  Args:
    x: [b, d] float32.
    mean: [d] running mean.
    var: [d] running variance.
    train: use and record batch statistics; else use the running ones.
    momentum: share of the batch in the new running values.
    eps: inside the square root.

  Returns:
    normalised [b, d], new mean, new var.
  """
  if train:
    batch_mean, batch_var = x.mean(0), x.var(0)
    unbiased = x.var(0, ddof=1)
    mean = (1 - momentum) * mean + momentum * batch_mean
    var = (1 - momentum) * var + momentum * unbiased
  else:
    batch_mean, batch_var = mean, var
  return (x - batch_mean) / jnp.sqrt(batch_var + eps), mean, var


class MeanPoolHead(nn.Module):
  """Mean of patch tokens, LayerNorm `fc_norm`, linear (MAE fine-tuning)."""

  classes: int
  init_std: float = 2e-5
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, patches: jax.Array) -> jax.Array:
    """[b, n, w] patch tokens, cls excluded -> [b, classes] float32 logits."""
    x = block.layer_norm(self.rt, "fc_norm")(patches.mean(1))
    # torch truncates at 2 absolute, far outside of any std used here.
    init = nn.initializers.normal(self.init_std)
    dense = nn.Dense(
      self.classes, dtype=self.rt.dtype, kernel_init=init, name="head"
    )
    return dense(x).astype(jnp.float32)


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
    x = block.layer_norm(self.rt, "norm1")(tokens)
    look = attention.CrossAttention(heads=self.heads, rt=self.rt, name="cross")
    y = query + look(query, x)
    z = block.layer_norm(self.rt, "norm2")(y)
    y = y + mlp.MLP(int(w * self.mlp_ratio), self.rt, name="mlp")(z)
    head = nn.Dense(self.classes, dtype=self.rt.dtype, name="head")
    return head(y[:, 0]).astype(jnp.float32)


def soft_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
  """-sum_c target_c log softmax(logits)_c, mean over the batch.

  Args:
    logits: [b, c].
    targets: [b, c] probabilities.
  """
  return -(targets * jax.nn.log_softmax(logits)).sum(-1).mean()


class Projection(nn.Module):
  """Maps features of a student to the width of a teacher (DMAE).

  Torch's default initialisation: kernels and biases uniform in
  +-1/sqrt(width in).

  Attributes:
    width: of the output.
    layers: 1: linear; 2: linear, GELU, linear.
    rt: execution choices.
  """

  width: int
  layers: int = 1
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., w] -> [..., width]."""
    for i in range(self.layers):
      init = patch.conv_bias_init(x.shape[-1])
      dense = nn.Dense(
        self.width,
        dtype=self.rt.dtype,
        kernel_init=init,
        bias_init=init,
        name=f"fc{i + 1}",
      )
      x = dense(x if i == 0 else lean.gelu(x))
    return x


ALIGN = ("linear", "ln-linear", "mlp", "mlp-ln")


class Align(nn.Module):
  """Adapter from a student's features to a teacher's (MaskAlign).

  Attributes:
    width: of the output.
    kind: linear; LayerNorm, linear; linear, GELU, linear; or linear,
      LayerNorm, linear. Xavier kernels, no initial bias.
    rt: execution choices.
  """

  width: int
  kind: str = "linear"
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., w] -> [..., width]."""
    init = nn.initializers.xavier_uniform()
    kw = dict(dtype=self.rt.dtype, kernel_init=init)
    if self.kind.startswith("mlp"):
      x = nn.Dense(x.shape[-1], name="fc", **kw)(x)
    if self.kind == "mlp":
      x = lean.gelu(x)
    if self.kind in ("ln-linear", "mlp-ln"):
      x = block.layer_norm(self.rt, "norm")(x)
    return nn.Dense(self.width, name="out", **kw)(x)
